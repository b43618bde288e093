import { hostname } from 'node:os';
import type { Command } from 'commander';
import { EXIT, refusal, VidbatchError, type ExitCode } from '../../core/errors.ts';
import { operator } from '../../core/operator.ts';
import { listRuns, takeRun } from '../../ledger/schedules/runs.ts';
import { listSchedules, type Schedule } from '../../ledger/schedules/schedules.ts';
import { makeRun } from '../../schedule/make-run.ts';
import {
  pauseScheduleBy,
  removeScheduleBy,
  requestRun,
  requireSchedule,
  resumeScheduleBy,
} from '../../schedule/operator.ts';
import { takerOf } from '../../schedule/schedule.ts';
import { seenRun, seenSchedule, type SeenSchedule } from '../../schedule/view.ts';
import type { LedgerApp } from '../../worker/app.ts';
import { configOf, globalFlags, isOn, providerFlags, type GlobalFlags } from '../flags/flags.ts';
import { formatProduced } from '../daily/import-manifests.ts';
import type { Io } from '../output/io.ts';
import { withLedger } from '../open-ledger.ts';
import { scheduleAdd } from './schedule-add.ts';
import { formatSchedule, formatScheduleDetails, formatSchedules } from './schedule-text.ts';

type Exit = (code: ExitCode) => void;

const RUNS_SHOWN = 10;

export function scheduleCommand(program: Command, io: Io, exit: Exit): void {
  const schedule = program
    .command('schedule')
    .description('submit a manifest at fixed times, again and again; workers do it')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch schedule add nightly jobs/offpeak.csv --cron "0 23 * * *" --tz Asia/Shanghai
  $ vidbatch schedule list
  $ vidbatch schedule list --check || alert      the last run of a schedule failed
  $ vidbatch schedule trigger nightly`,
    );
  scheduleAdd(schedule, io, exit);
  const list = schedule
    .command('list')
    .description('every schedule: its next run, and how the last one ended')
    .option('--check', 'end with 1 if the last run of a schedule failed')
    .action(async (flags: GlobalFlags & { check?: boolean }) => exit(await listAll(flags, io)));
  globalFlags(list);
  const on = (command: Command, verb: Verb): Command =>
    command.action(async (name: string, flags: GlobalFlags) => exit(await onSchedule(name, flags, io, verb)));
  globalFlags(on(schedule.command('show <name>').description('a schedule, and its newest runs'), show));
  globalFlags(on(schedule.command('pause <name>').description('no ticks, until it is resumed'), pause));
  globalFlags(on(schedule.command('resume <name>').description('tick again, from the next tick on'), resume));
  globalFlags(
    on(schedule.command('remove <name>').description('delete it and its runs; their batches stay'), remove),
  );
  const trigger = schedule.command('trigger <name>').description('one run now, in addition to the ticks');
  providerFlags(globalFlags(on(trigger, triggerSchedule)));
}

/** Does something to a schedule, and prints the result. */
export type Verb = (app: LedgerApp, schedule: Schedule, flags: GlobalFlags, io: Io) => Promise<void>;

async function onSchedule(name: string, flags: GlobalFlags, io: Io, verb: Verb): Promise<ExitCode> {
  return withLedger(configOf(flags), io, async (app) => {
    await verb(app, await requireSchedule(app.db, name), flags, io);
    return EXIT.ok;
  });
}

async function listAll(flags: GlobalFlags & { check?: boolean }, io: Io): Promise<ExitCode> {
  return withLedger(configOf(flags), io, async ({ db }) => {
    const all: SeenSchedule[] = [];
    for (const schedule of await listSchedules(db)) all.push(await seenSchedule(db, schedule));
    if (isOn(flags.json)) for (const seen of all) io.out(JSON.stringify(seen));
    else for (const line of formatSchedules(all, io.width, Date.now())) io.out(line);
    return isOn(flags.check) && all.some(({ failing }) => failing) ? EXIT.operational : EXIT.ok;
  });
}

async function show({ db }: LedgerApp, schedule: Schedule, flags: GlobalFlags, io: Io): Promise<void> {
  const seen = await seenSchedule(db, schedule);
  const runs = [];
  for (const run of await listRuns(db, schedule.id, RUNS_SHOWN)) {
    runs.push(await seenRun(db, schedule.zone, run));
  }
  io.out(isOn(flags.json) ? JSON.stringify({ ...seen, runs }) : formatScheduleDetails(seen, runs));
}

async function pause(app: LedgerApp, schedule: Schedule, flags: GlobalFlags, io: Io): Promise<void> {
  await pauseScheduleBy(app.db, operator(), schedule);
  await printSchedule(app, schedule, flags, io);
}

async function resume(app: LedgerApp, schedule: Schedule, flags: GlobalFlags, io: Io): Promise<void> {
  await resumeScheduleBy(app.db, operator(), schedule);
  await printSchedule(app, schedule, flags, io);
}

async function remove({ db }: LedgerApp, schedule: Schedule, flags: GlobalFlags, io: Io): Promise<void> {
  await removeScheduleBy(db, operator(), schedule);
  const { name } = schedule;
  io.out(
    isOn(flags.json)
      ? JSON.stringify({ name, removed: true })
      : `${name}: removed; the batches of its runs stay, and \`vidbatch cancel\` cancels one`,
  );
}

async function printSchedule(
  { db }: LedgerApp,
  { name }: Schedule,
  flags: GlobalFlags,
  io: Io,
): Promise<void> {
  const seen = await seenSchedule(db, await requireSchedule(db, name));
  io.out(isOn(flags.json) ? JSON.stringify(seen) : formatSchedule(seen));
}

/** Makes the run in this process, as `submit` would. If the process dies, a worker makes the run. */
export async function triggerSchedule(
  { db }: LedgerApp,
  schedule: Schedule,
  flags: GlobalFlags,
  io: Io,
): Promise<void> {
  const { id, batch } = await requestRun(db, operator(), schedule);
  const host = hostname();
  const run = await takeRun(db, { worker: takerOf(host), host, only: id });
  if (run === undefined) {
    print(
      flags,
      io,
      { batch, state: 'due' },
      `${batch}: is due; a worker makes it when the earlier runs have ended`,
    );
    return;
  }
  const result = await makeRun(db, run, { config: configOf(flags), host });
  switch (result.kind) {
    case 'made': {
      const { batch: _batch, ...numbers } = result.produced;
      print(flags, io, { batch, state: 'made', ...numbers }, formatProduced(result.produced));
      return;
    }
    case 'failed':
      throw result.error instanceof VidbatchError
        ? result.error
        : new VidbatchError(result.code, result.reason, { cause: result.error });
    case 'skipped':
    case 'missed':
      throw refusal(
        'RUN_SKIPPED',
        `${batch}: ${result.kind}: ${result.reason}; nothing was sent`,
        'Wait for that run, or cancel its remaining rows with `vidbatch cancel`. A second run would pay for the same rows again.',
      );
    case 'left':
    case 'given-back':
    case 'lost':
      print(flags, io, { batch, state: 'due' }, `${batch}: a worker makes it`);
  }
}

function print(flags: GlobalFlags, io: Io, json: Record<string, unknown>, text: string): void {
  io.out(isOn(flags.json) ? JSON.stringify(json) : text);
}
