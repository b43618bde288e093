import type { Command } from 'commander';
import { z } from 'zod';
import type { Deadline } from '../batch/deadline.ts';
import { usageError } from '../core/errors.ts';
import { excerpt } from '../core/text.ts';
import { checkModels, parseRates, perSecondOf } from '../core/rate/rate-limits.ts';
import { parseWindow } from '../core/time/window.ts';
import type { Window } from '../core/time/window.ts';
import { flag } from './flags.ts';

const SHAPE = '"23:00-07:00 Asia/Shanghai" or "Mon-Fri 22:00-06:00 UTC except 2030-12-25", or none';

/** Of whoever sends rows, or says when they will be sent. */
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

/** `null`: none any more. Undefined: nothing was said of it. */
export function readWindow(name: string, text: string | undefined): Window | null | undefined {
  if (text === undefined) return undefined;
  return text.trim().toLowerCase() === 'none' ? null : parseWindow(name, text);
}

export function offPeakWindow(flags: OffPeakFlags): { offPeakWindow?: Window | null } {
  const window = readWindow('--offpeak-window', flags.offpeakWindow);
  return window === undefined ? {} : { offPeakWindow: window };
}

/** For a forecast: `perSecond` and `offPeak` as the flags say. */
export interface ForecastOptions {
  perSecond?: number;
  offPeak?: Window | null;
}

export function forecastOptions(
  flags: OffPeakFlags & { rate?: string },
  models?: readonly string[],
): ForecastOptions {
  const window = readWindow('--offpeak-window', flags.offpeakWindow);
  const rates = flags.rate === undefined ? [] : parseRates('--rate', flags.rate);
  if (models !== undefined) checkModels(rates, models);
  const perSecond = perSecondOf(rates);
  return {
    ...(perSecond === undefined ? {} : { perSecond }),
    ...(window === undefined ? {} : { offPeak: window }),
  };
}

/** Of whoever brings a manifest into the ledger. */
export interface DeadlineFlags extends OffPeakFlags {
  deadline?: string;
  onDeadline?: string;
  rate?: string;
}

export function deadlineFlags(command: Command): Command {
  flag(
    command,
    '--deadline <moment>',
    'by when it is to be sent, such as 2030-11-25T07:00:00+08:00, or none',
  );
  return flag(
    command,
    '--on-deadline <wait|fail>',
    'wait: rows are sent late; fail: refuse what cannot be sent in time, and send nothing late',
    'wait',
  );
}

const moment = z.iso.datetime({ offset: true });

export function readDeadline(flags: DeadlineFlags): Deadline | undefined {
  const { deadline: text, onDeadline: on = 'wait' } = flags;
  if (on !== 'wait' && on !== 'fail') {
    throw usageError('BAD_ON_DEADLINE', `--on-deadline: ${excerpt(on)} is neither wait nor fail`);
  }
  if (text === undefined) return undefined;
  if (text.trim().toLowerCase() === 'none') return { at: null, on };
  const parsed = moment.safeParse(text.trim().toUpperCase());
  if (!parsed.success) {
    throw usageError(
      'BAD_DEADLINE',
      `--deadline: ${excerpt(text)} is not a date and time with a zone, such as 2030-11-25T07:00:00+08:00`,
    );
  }
  return { at: new Date(parsed.data), on, ...forecastOptions(flags) };
}
