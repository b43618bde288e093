import type { Command } from 'commander';
import type { LedgerApp } from '../worker/app.ts';
import { firstAfter } from '../schedule/due.ts';
import { EXIT } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { logEvent } from '../ledger/batches.ts';
import { transaction } from '../database/database.ts';
import type { Queryable } from '../database/database.ts';
import { listRuns } from '../ledger/schedules/runs.ts';
import {
  listSchedules,
  pauseSchedule,
  removeSchedule,
  resumeSchedule,
} from '../ledger/schedules/schedules.ts';
import type { Schedule } from '../ledger/schedules/schedules.ts';
import { ledgerNow } from '../ledger/send/window.ts';
import { seenRun, seenSchedule } from '../schedule/view.ts';
import { configOf, globalFlags, providerFlags } from './io.ts';
import type { GlobalFlags, Io } from './io.ts';
import { openAlone } from './ledger-alone.ts';
import { scheduleAdd } from './schedule-add.ts';
import { scheduleNamed } from './schedule-named.ts';
import { describeSchedule, describeWhole } from './schedule-text.ts';
import { triggerSchedule } from './schedule-trigger.ts';

type Exit = (code: ExitCode) => void;

const RUNS_SHOWN = 10;

export function scheduleCommand(program: Command, io: Io, exit: Exit): void {
  const schedule = program
    .command('schedule')
    .description('submit a manifest again and again, by the clock; workers see to it')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch schedule add nightly jobs/nightly.csv --cron "0 23 * * *" --tz Asia/Shanghai
  $ vidbatch schedule list
  $ vidbatch schedule list --check || alert      the last run of a schedule failed
  $ vidbatch schedule trigger nightly`,
    );
  scheduleAdd(schedule, io, exit);
  const list = schedule
    .command('list')
    .description('every schedule: its next five runs, and how the last one ended')
    .option('--check', 'end with 1 when the last run of any failed')
    .action(async (flags: GlobalFlags & { check?: boolean }) => exit(await listAll(flags, io)));
  globalFlags(list);
  const on = (command: Command, verb: Verb): Command =>
    command.action(async (name: string, flags: GlobalFlags) => exit(await onSchedule(name, flags, io, verb)));
  globalFlags(on(schedule.command('show <name>').description('a schedule, and its newest runs'), show));
  globalFlags(on(schedule.command('pause <name>').description('no ticks, until it is resumed'), pause));
  globalFlags(on(schedule.command('resume <name>').description('tick again, from the next tick on'), resume));
  globalFlags(
    on(schedule.command('remove <name>').description('forget it and its runs; their batches stay'), remove),
  );
  const trigger = schedule.command('trigger <name>').description('one run now, besides the ticks');
  providerFlags(globalFlags(on(trigger, triggerSchedule)));
}

/** What is done to a schedule. Prints what became of it. */
export type Verb = (app: LedgerApp, schedule: Schedule, flags: GlobalFlags, io: Io) => Promise<void>;

async function onSchedule(name: string, flags: GlobalFlags, io: Io, verb: Verb): Promise<ExitCode> {
  const app = await openAlone(configOf(flags), io);
  try {
    await verb(app, await scheduleNamed(app.db, name), flags, io);
    return EXIT.ok;
  } finally {
    await app.close();
  }
}

async function listAll(flags: GlobalFlags & { check?: boolean }, io: Io): Promise<ExitCode> {
  const app = await openAlone(configOf(flags), io);
  try {
    const schedules = await listSchedules(app.db);
    let failed = false;
    for (const schedule of schedules) {
      const seen = await seenSchedule(app.db, schedule);
      failed ||= seen.failing;
      io.out(flags.json === true ? JSON.stringify(seen) : describeSchedule(seen));
    }
    if (schedules.length === 0 && flags.json !== true) io.out('no schedules');
    return flags.check === true && failed ? EXIT.operational : EXIT.ok;
  } finally {
    await app.close();
  }
}

async function show({ db }: LedgerApp, schedule: Schedule, flags: GlobalFlags, io: Io): Promise<void> {
  const seen = await seenSchedule(db, schedule);
  const runs = [];
  for (const run of await listRuns(db, schedule.id, RUNS_SHOWN)) {
    runs.push(await seenRun(db, schedule.zone, run));
  }
  io.out(flags.json === true ? JSON.stringify({ ...seen, runs }) : describeWhole(seen, runs));
}

async function pause(app: LedgerApp, schedule: Schedule, flags: GlobalFlags, io: Io): Promise<void> {
  await noted(app, 'schedule-pause', schedule, (session) => pauseSchedule(session, schedule.id));
  await tellNow(app, schedule, flags, io);
}

async function resume(app: LedgerApp, schedule: Schedule, flags: GlobalFlags, io: Io): Promise<void> {
  const nextAt = firstAfter(schedule, await ledgerNow(app.db));
  await noted(app, 'schedule-resume', schedule, (session) => resumeSchedule(session, schedule.id, nextAt));
  await tellNow(app, schedule, flags, io);
}

async function remove(app: LedgerApp, schedule: Schedule, flags: GlobalFlags, io: Io): Promise<void> {
  await noted(app, 'schedule-remove', schedule, (session) => removeSchedule(session, schedule.id));
  const { name } = schedule;
  io.out(
    flags.json === true
      ? JSON.stringify({ name, removed: true })
      : `${name}: removed; the batches of its runs stay, and \`vidbatch cancel\` calls one off`,
  );
}

async function noted(
  { db }: LedgerApp,
  event: string,
  { name }: Schedule,
  work: (session: Queryable) => Promise<void>,
): Promise<void> {
  await transaction(db, async (session) => {
    await work(session);
    await logEvent(session, event, name);
  });
}

async function tellNow({ db }: LedgerApp, { name }: Schedule, flags: GlobalFlags, io: Io): Promise<void> {
  const seen = await seenSchedule(db, await scheduleNamed(db, name));
  io.out(flags.json === true ? JSON.stringify(seen) : describeSchedule(seen));
}
