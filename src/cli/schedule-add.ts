import { resolve } from 'node:path';
import type { Command } from 'commander';
import { EXIT, usageError } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { excerpt } from '../core/text.ts';
import { checkBatchName } from '../core/identity.ts';
import { parseCount, parseDuration } from '../core/units.ts';
import { checkCron } from '../core/time/cron.ts';
import { findZone, nearestZone } from '../core/time/zone.ts';
import { transaction } from '../database/database.ts';
import { logEvent } from '../ledger/batches.ts';
import { addSchedule, MISSED, OVERLAPS } from '../ledger/schedules/schedules.ts';
import type { RunFlags, Schedule } from '../ledger/schedules/schedules.ts';
import { ledgerNow } from '../ledger/send/window.ts';
import { openManifest } from '../manifest/manifest.ts';
import { firstAfter } from '../schedule/due.ts';
import { optionsOf } from '../schedule/make-run.ts';
import { seenSchedule } from '../schedule/view.ts';
import { foreignFlag, configOf, flag, globalFlags, isOn } from './flags.ts';
import type { Io } from './io.ts';
import { batchFlags, batchOptions, readFlags, costFlags } from './manifest-flags.ts';
import type { BatchFlags, ReadFlags, CostFlags } from './manifest-flags.ts';
import { openLedgerOnly } from './open-ledger.ts';
import { formatSchedule } from './schedule-text.ts';
import { batchWindowFlag } from './window-flags.ts';

interface AddFlags extends ReadFlags, BatchFlags, CostFlags {
  cron: string;
  tz: string;
  overlap: string;
  missed: string;
  jitter?: string;
  keepGoing?: boolean;
  window?: string;
}

export function scheduleAdd(schedule: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = schedule
    .command('add <name> <manifest>')
    .description('submit a manifest at every tick of a cron expression, as a batch of its own')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch schedule add nightly jobs/nightly.csv --cron "0 23 * * *" --tz Asia/Shanghai
  $ vidbatch schedule add nightly jobs/nightly.csv --cron "0 23 * * *" --tz Asia/Shanghai \\
      --window "23:00-07:00 Asia/Shanghai" --jitter 5m

Each run reads the manifest anew, and is a batch nightly@20261122T230000+0800. Rows that earlier runs have sent are sent
again, and paid again. Runs need a worker that is up: vidbatch work.`,
    )
    .action(async (name: string, manifest: string, flags: AddFlags) =>
      exit(await add(name, manifest, flags, io)),
    );
  foreignFlag(globalFlags(command));
  flag(command, '--cron <expression>', 'five fields, such as "0 23 * * *", or six with the seconds first');
  flag(command, '--tz <zone>', 'whose clocks the expression means, such as Asia/Shanghai');
  flag(command, '--overlap <skip|queue|allow>', 'while the last run still has rows to send', 'skip');
  flag(
    command,
    '--missed <once|skip>',
    'ticks while no worker was up: one run for all of them, or none',
    'once',
  );
  flag(command, '--jitter <duration>', 'begin up to so much later, the same for all workers');
  costFlags(batchFlags(batchWindowFlag(readFlags(command))));
  flag(command, '--keep-going', 'send the valid rows, record the invalid ones');
}

async function add(name: string, manifest: string, flags: AddFlags, io: Io): Promise<ExitCode> {
  const config = configOf(flags);
  const asked = { ...read(name, flags), manifest: resolve(manifest) };
  if (manifest === '-') {
    throw usageError(
      'SCHEDULE_NEEDS_FILE',
      'a schedule reads its manifest at every tick: - can be read once',
      'Name a file.',
    );
  }
  await openManifest(asked.manifest, await optionsOf(asked.flags));
  const app = await openLedgerOnly(config, io, { role: 'writer' });
  try {
    const nextAt = firstAfter(asked, await ledgerNow(app.db));
    const added = await transaction(app.db, async (session) => {
      const one = await addSchedule(session, { ...asked, nextAt });
      await logEvent(session, 'schedule-add', `${one.name}: ${one.cron} ${one.zone}, ${one.manifest}`);
      return one;
    });
    const seen = await seenSchedule(app.db, added);
    io.out(flags.json === true ? JSON.stringify(seen) : formatSchedule(seen));
    return EXIT.ok;
  } finally {
    await app.close();
  }
}

function read(
  name: string,
  flags: AddFlags,
): Omit<Schedule, 'id' | 'manifest' | 'nextAt' | 'decidedAt' | 'pausedAt'> {
  checkName(name);
  if (flags.cron === undefined) {
    throw usageError('NO_CRON', 'when is it to run? --cron is not given', 'For example --cron "0 23 * * *".');
  }
  if (flags.tz === undefined) {
    throw usageError(
      'NO_ZONE',
      'whose clocks does --cron mean? --tz is not given',
      'For example --tz Asia/Shanghai, or --tz UTC.',
    );
  }
  const zone = findZone(flags.tz);
  if (zone === undefined) {
    const meant = nearestZone(flags.tz);
    throw usageError(
      'BAD_ZONE',
      `--tz: ${excerpt(flags.tz)} is not a zone of the tz database`,
      meant === undefined ? 'A zone is a name such as Asia/Shanghai.' : `Did you mean ${meant}?`,
    );
  }
  const specs = typeof flags.map === 'string' ? [flags.map] : flags.map;
  const kept: RunFlags = {
    ...(flags.format === undefined ? {} : { format: flags.format }),
    ...(flags.encoding === undefined ? {} : { encoding: flags.encoding }),
    ...(flags.delimiter === undefined ? {} : { delimiter: flags.delimiter }),
    ...(specs === undefined || specs.length === 0 ? {} : { map: specs }),
    ...(flags.window === undefined || flags.window.trim().toLowerCase() === 'none'
      ? {}
      : { window: flags.window }),
    ...batchOptions(flags),
    ...(flags.prices === undefined ? {} : { prices: resolve(flags.prices) }),
    ...(flags.budget === undefined || flags.budget.trim().toLowerCase() === 'none'
      ? {}
      : { budget: flags.budget }),
    ...(isOn(flags.strict) ? { strict: true } : {}),
    ...(flags.skipLines === undefined
      ? {}
      : { skipLines: parseCount('--skip-lines', flags.skipLines, 0, 1000) }),
    ...(isOn(flags.asWritten) ? { asWritten: true } : {}),
    ...(isOn(flags.keepGoing) ? { keepGoing: true } : {}),
  };
  return {
    name,
    zone,
    cron: checkCron(flags.cron),
    flags: kept,
    overlap: oneOf('--overlap', flags.overlap, OVERLAPS),
    missed: oneOf('--missed', flags.missed, MISSED),
    jitterMs: flags.jitter === undefined ? 0 : parseDuration('--jitter', flags.jitter),
  };
}

const LONGEST_NAME = 100;

/** Its runs are batches, whose names go on with @ and a time. */
function checkName(name: string): void {
  const why = name.includes('@')
    ? 'it contains "@", which stands before the time in the names of its batches'
    : name.length > LONGEST_NAME
      ? `it has ${name.length} characters, and at most ${LONGEST_NAME} are allowed`
      : undefined;
  if (why !== undefined) {
    throw usageError('schedule-name', `${excerpt(name)} cannot name a schedule: ${why}`, 'Such as nightly.');
  }
  try {
    checkBatchName(name);
  } catch (error) {
    throw usageError(
      'schedule-name',
      (error as Error).message.replace('cannot name a batch', 'cannot name a schedule'),
      `Allowed: 1 to ${LONGEST_NAME} characters without "/", "\\", ":", "@" and control characters.`,
    );
  }
}

function oneOf<T extends string>(name: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === text);
  if (found !== undefined) return found;
  throw usageError('BAD_POLICY', `${name}: ${excerpt(text)} is not one of ${allowed.join(', ')}`);
}
