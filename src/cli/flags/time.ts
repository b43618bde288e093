import type { Command } from 'commander';
import { z } from 'zod';
import type { Deadline } from '../../batch/deadline.ts';
import type { Asked } from '../../batch/outlook.ts';
import { usageError } from '../../core/errors.ts';
import type { Config } from '../../core/config.ts';
import { defined } from '../../core/json.ts';
import { checkModels, parseRates, perSecondOf } from '../../core/rate/rate-limits.ts';
import { excerpt } from '../../core/text.ts';
import { parseOneOf } from '../../core/units.ts';
import { parseWindow, type Window } from '../../core/time/window.ts';
import { findZone, nearestZone } from '../../core/time/zone.ts';
import { parseSince } from '../../operate/since.ts';
import { configuredModels } from '../../provider/profile/models.ts';
import { flag, listFlag } from './flags.ts';

const SHAPE = '"23:00-07:00 Asia/Shanghai" or "Mon-Fri 22:00-06:00 UTC except 2030-12-25", or none';

export interface OffPeakFlags {
  offpeakWindow?: string;
}

export function offPeakFlag(command: Command): Command {
  return flag(
    command,
    '--offpeak-window <window>',
    `hours in which rows of off-peak models are sent, such as ${SHAPE}`,
  );
}

export function batchWindowFlag(command: Command): Command {
  return flag(
    command,
    '--window <window>',
    `hours in which rows of this batch are sent, such as ${SHAPE} (default: as before)`,
  );
}

/** Whether a flag's value removes what was set before. */
export function isNone(text: string): boolean {
  return text.trim().toLowerCase() === 'none';
}

/** Null removes the window; undefined leaves it unchanged. */
export function parseWindowFlag(name: string, text: string | undefined): Window | null | undefined {
  if (text === undefined) return undefined;
  return isNone(text) ? null : parseWindow(name, text);
}

export function offPeakWindow(flags: OffPeakFlags): { offPeakWindow?: Window | null } {
  return defined({ offPeakWindow: parseWindowFlag('--offpeak-window', flags.offpeakWindow) });
}

export interface ForecastFlags extends OffPeakFlags {
  rate?: string;
}

export function forecastRateFlag(command: Command): Command {
  return listFlag(
    command,
    '--rate <rate>',
    'forecast for this rate, such as 10/s (default: the rate of the last rows)',
  );
}

/** `config`: checks that the rates name known models. */
export function forecastOptions(flags: ForecastFlags, config?: Pick<Config, 'models' | 'profile'>): Asked {
  const rates = flags.rate === undefined ? [] : parseRates('--rate', flags.rate);
  // Reading a profile takes longer than the rest of a short command.
  if (config !== undefined && rates.length > 0) checkModels(rates, configuredModels(config));
  return defined({
    perSecond: perSecondOf(rates),
    offPeak: parseWindowFlag('--offpeak-window', flags.offpeakWindow),
  });
}

export interface DeadlineFlags extends ForecastFlags {
  deadline?: string;
  onDeadline?: string;
}

export function deadlineFlags(command: Command): Command {
  flag(
    command,
    '--deadline <moment>',
    'by when all rows are to be sent, such as 2030-11-25T07:00:00+08:00, or none',
  );
  return flag(
    command,
    '--on-deadline <wait|fail>',
    'wait: rows are sent late; fail: refuse what cannot be sent in time, and send nothing late',
    'wait',
  );
}

export interface SinceFlags {
  since?: string;
  tz: string;
}

/** `what`: what is left out; `zoneOf`: what the zone is for. */
export function sinceFlags(command: Command, what: string, zoneOf: string): Command {
  flag(
    command,
    '--since <time>',
    `${what} since then: today, yesterday, 12h, 7d, a date or a time (default: all)`,
  );
  return flag(command, '--tz <zone>', `the zone of ${zoneOf}`, 'UTC');
}

/** Null: no moment is given. */
export function sinceOf({ since, tz }: SinceFlags): Date | null {
  const zone = parseZone(tz);
  return since === undefined ? null : parseSince('--since', since, zone);
}

const moment = z.iso.datetime({ offset: true });

export function parseDeadline(flags: DeadlineFlags): Deadline | undefined {
  const { deadline: text, onDeadline = 'wait' } = flags;
  const on = parseOneOf('BAD_ON_DEADLINE', '--on-deadline', onDeadline, ['wait', 'fail']);
  if (text === undefined) return undefined;
  if (isNone(text)) return { at: null, on };
  const parsed = moment.safeParse(text.trim().toUpperCase());
  if (!parsed.success) {
    throw usageError(
      'BAD_DEADLINE',
      `--deadline: ${excerpt(text)} is not a date and time with a zone, such as 2030-11-25T07:00:00+08:00`,
    );
  }
  return { at: new Date(parsed.data), on, ...forecastOptions(flags) };
}

/** @throws VidbatchError exit 2 for a name that is not a zone of the tz database. */
export function parseZone(name: string): string {
  const zone = findZone(name);
  if (zone !== undefined) return zone;
  const meant = nearestZone(name);
  throw usageError(
    'BAD_ZONE',
    `--tz: ${excerpt(name)} is not a zone of the tz database`,
    meant === undefined ? 'For example Asia/Shanghai, or UTC.' : `Did you mean ${meant}?`,
  );
}
