import { resolve } from 'node:path';
import type { Command } from 'commander';
import { EXIT, usageError, type ExitCode } from '../../core/errors.ts';
import { checkBatchName } from '../../core/identity.ts';
import { defined } from '../../core/json.ts';
import { excerpt } from '../../core/text.ts';
import { checkCron } from '../../core/time/cron.ts';
import { parseDuration, parseOneOf } from '../../core/units.ts';
import { transaction } from '../../database/database.ts';
import { logEvent } from '../../ledger/batches.ts';
import {
  addSchedule,
  MISSED,
  OVERLAPS,
  type RunFlags,
  type Schedule,
} from '../../ledger/schedules/schedules.ts';
import { ledgerNow } from '../../ledger/send/window.ts';
import { openManifest } from '../../manifest/manifest.ts';
import { builtInProfile } from '../../provider/profile/load.ts';
import { firstAfter } from '../../schedule/due.ts';
import { optionsOf } from '../../schedule/make-run.ts';
import { seenSchedule } from '../../schedule/view.ts';
import type { LedgerApp } from '../../worker/app.ts';
import { foreignFlag, configOf, flag, globalFlags, isOn } from '../flags/flags.ts';
import type { Io } from '../output/io.ts';
import {
  batchFlags,
  batchOptions,
  checkedProfile,
  mapOf,
  parseSkipLines,
  parseVariants,
  readFlags,
  type BatchFlags,
  type ReadFlags,
} from '../flags/manifest.ts';
import { withLedger } from '../open-ledger.ts';
import { formatSchedule } from './schedule-text.ts';
import { isNone, parseZone } from '../flags/time.ts';

interface AddFlags extends ReadFlags, BatchFlags {
  cron: string;
  tz: string;
  overlap: string;
  missed: string;
  jitter?: string;
}

export function scheduleAdd(schedule: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = schedule
    .command('add <name> <manifest>')
    .description('submit a manifest at every tick of a cron expression, as a batch of its own')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch schedule add nightly jobs/offpeak.csv --cron "0 23 * * *" --tz Asia/Shanghai
  $ vidbatch schedule add nightly jobs/offpeak.csv --cron "0 23 * * *" --tz Asia/Shanghai \\
      --window "23:00-07:00 Asia/Shanghai" --jitter 5m

Each run reads the manifest again and makes a batch such as nightly@20261122T230000+0800. Rows that earlier runs have
sent are sent again, and paid again. Runs need a running worker: vidbatch work.`,
    )
    .action(async (name: string, manifest: string, flags: AddFlags) =>
      exit(await add(name, manifest, flags, io)),
    );
  foreignFlag(globalFlags(command));
  flag(command, '--cron <expression>', 'five fields, such as "0 23 * * *", or six with the seconds first');
  flag(command, '--tz <zone>', 'time zone of the expression, such as Asia/Shanghai');
  flag(command, '--overlap <skip|queue|allow>', 'if the last run still has rows to send', 'skip');
  flag(
    command,
    '--missed <once|skip>',
    'ticks while no worker ran: one run for all of them, or none',
    'once',
  );
  flag(command, '--jitter <duration>', 'begin up to this much later, the same for all workers');
  batchFlags(readFlags(command));
}

async function add(name: string, manifest: string, flags: AddFlags, io: Io): Promise<ExitCode> {
  const config = configOf(flags);
  const asked = { ...parseSchedule(name, flags), manifest: resolve(manifest) };
  if (manifest === '-') {
    throw usageError(
      'SCHEDULE_NEEDS_FILE',
      'a schedule reads its manifest at every tick, but - can be read only once',
      'Name a file.',
    );
  }
  await openManifest(asked.manifest, await optionsOf(asked.flags));
  const work = async ({ db }: LedgerApp): Promise<ExitCode> => {
    const nextAt = firstAfter(asked, await ledgerNow(db));
    const added = await transaction(db, async (session) => {
      const one = await addSchedule(session, { ...asked, nextAt });
      await logEvent(session, 'schedule-add', `${one.name}: ${one.cron} ${one.zone}, ${one.manifest}`);
      return one;
    });
    const seen = await seenSchedule(db, added);
    io.out(isOn(flags.json) ? JSON.stringify(seen) : formatSchedule(seen));
    return EXIT.ok;
  };
  return withLedger(config, io, work, { role: 'writer' });
}

function parseSchedule(
  name: string,
  flags: AddFlags,
): Omit<Schedule, 'id' | 'manifest' | 'nextAt' | 'decidedAt' | 'pausedAt'> {
  checkName(name);
  if (flags.cron === undefined) {
    throw usageError(
      'NO_CRON',
      '--cron is not given: it says when to run',
      'For example --cron "0 23 * * *".',
    );
  }
  if (flags.tz === undefined) {
    throw usageError(
      'NO_ZONE',
      '--tz is not given: it is the time zone of --cron',
      'For example --tz Asia/Shanghai, or --tz UTC.',
    );
  }
  const unlessNone = (text: string | undefined): string | undefined =>
    text === undefined || isNone(text) ? undefined : text;
  const kept: RunFlags = {
    ...defined({
      format: flags.format,
      encoding: flags.encoding,
      delimiter: flags.delimiter,
      map: mapOf(flags),
      window: unlessNone(flags.window),
      prices: flags.prices === undefined ? undefined : resolve(flags.prices),
      budget: unlessNone(flags.budget),
      skipLines: parseSkipLines(flags),
      sheet: flags.sheet,
      variants: parseVariants(flags),
      profile: placeOfProfile(flags),
    }),
    ...batchOptions(flags),
    ...(isOn(flags.strict) && { strict: true }),
    ...(isOn(flags.asWritten) && { asWritten: true }),
    ...(isOn(flags.template) && { template: true }),
    ...(isOn(flags.keepGoing) && { keepGoing: true }),
  };
  return {
    name,
    zone: parseZone(flags.tz),
    cron: checkCron(flags.cron),
    flags: kept,
    overlap: parseOneOf('BAD_POLICY', '--overlap', flags.overlap, OVERLAPS),
    missed: parseOneOf('BAD_POLICY', '--missed', flags.missed, MISSED),
    jitterMs: flags.jitter === undefined ? 0 : parseDuration('--jitter', flags.jitter),
  };
}

/** A file is read at every tick, like the manifest. */
function placeOfProfile(flags: AddFlags): string | undefined {
  const profile = checkedProfile(flags);
  return profile === undefined || builtInProfile(profile) !== undefined ? profile : resolve(profile);
}

const LONGEST_NAME = 100;

/** The names of a schedule's batches are its name, @ and a time. */
function checkName(name: string): void {
  const why = name.includes('@')
    ? 'it contains "@", which comes before the time in the names of its batches'
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
