import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { chanceOf } from '../batch/deadline.ts';
import type { Chance } from '../batch/deadline.ts';
import { outlookJson, outlookOf } from '../batch/outlook.ts';
import type { Outlook } from '../batch/outlook.ts';
import { EXIT } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { formatCount, formatDuration } from '../core/units.ts';
import { POLL_PLAN } from '../core/poll-plan.ts';
import { STATES } from '../core/states.ts';
import { openOf } from '../core/task-status.ts';
import type { TaskCounts } from '../core/task-status.ts';
import type { Queryable } from '../database/database.ts';
import { countProof, listBatches } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import { readNumbers } from '../ledger/read/batch-numbers.ts';
import type { Speed } from '../ledger/read/batch-numbers.ts';
import { cachedQueries } from '../ledger/read/query.ts';
import type { FailReason } from '../ledger/operator/retry-failed-tasks.ts';
import { limitsInForce } from '../ledger/send/quota.ts';
import type { LimitInForce } from '../ledger/send/quota.ts';
import { readNextPoll } from '../ledger/tasks/poll.ts';
import { countVideos } from '../ledger/tasks/downloads.ts';
import type { VideoCounts } from '../ledger/tasks/downloads.ts';
import {
  formatFailedTasks,
  formatProof,
  receipt,
  formatTasks,
  summaryOf,
  readPace,
  formatSpeed,
  formatUnfed,
} from '../operate/summary.ts';
import type { Pace, Summary } from '../operate/summary.ts';
import type { LedgerApp } from '../worker/app.ts';
import { configOf, flag, globalFlags, isOn, listFlag, logOf, providerFlags } from './flags.ts';
import type { GlobalFlags } from './flags.ts';
import { withReconnect } from './follow-ledger.ts';
import { formatLimits } from './format.ts';
import type { Io } from './io.ts';
import { requireBatch } from '../ledger/batches.ts';
import { ledgerOpener, openLedgerOnly } from './open-ledger.ts';
import { onInterrupt } from './signals.ts';
import { forecastOptions, offPeakFlag } from './window-flags.ts';
import type { ForecastOptions, OffPeakFlags } from './window-flags.ts';

export function statusCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('status [batch]')
    .description('counts by state, rate, ETA, and what keeps rows waiting')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch status
  $ vidbatch status text --json
  $ vidbatch status text --watch`,
    )
    .action(async (name: string | undefined, flags: StatusFlags) => exit(await status(name, flags, io)));
  flag(providerFlags(globalFlags(command)), '--watch', 'again every few seconds, until interrupted');
  listFlag(
    command,
    '--rate <rate>',
    'forecast for so many rows, such as 10/s (default: as the last ones went)',
  );
  offPeakFlag(command);
}

/** Batches that are read at a time: most of it is waiting for the database to answer. */
const TOGETHER = 4;

type StatusFlags = GlobalFlags & OffPeakFlags & { watch?: boolean; rate?: string };

interface Status extends Summary, Omit<Pace, 'lately'> {
  /** When rows that wait for a window will be sent; null: none does. */
  forecast: Record<string, unknown> | null;
  /** What became of its videos; null: none was downloaded. */
  videos: VideoCounts | null;
  /** By when it is to be sent, and whether it will be; null: nobody has said. */
  deadline: { at: string; on: 'wait' | 'fail'; chance: Chance } | null;
  /** How the tasks stand, and in how many seconds one may be asked for again; null: there are none. */
  tasks: (TaskCounts & { open: number; nextPollSeconds: number | null }) | null;
  /** So many rows must be accepted one after another before others go beside them; 0: none any more. */
  proof: number;
  /** Why tasks failed, the most frequent first. */
  failReasons: FailReason[];
  /** What the workers of its provider go by. */
  limits: Omit<LimitInForce, 'origin'>[];
}

async function status(name: string | undefined, flags: StatusFlags, io: Io): Promise<ExitCode> {
  const config = configOf(flags);
  const asked = forecastOptions(flags, config.models);
  const interrupt = onInterrupt(io.quit);
  try {
    if (!isOn(flags.watch)) {
      const app = await openLedgerOnly(config, io);
      try {
        await look(app);
        return EXIT.ok;
      } finally {
        await app.close();
      }
    }
    const log = logOf(flags, 'warn');
    await withReconnect(config, log, interrupt.signal, ledgerOpener(config, io, log), async (app, moving) => {
      while (!moving.aborted) {
        await look(app);
        await sleep(2000, undefined, { signal: moving }).catch(() => undefined);
      }
    });
    return EXIT.ok;
  } finally {
    interrupt.dispose();
  }

  async function look(app: LedgerApp): Promise<void> {
    const batches = name === undefined ? await listBatches(app.db) : [await requireBatch(app.db, name)];
    if (batches.length === 0) io.err('no batches yet');
    if (isOn(flags.watch) && flags.json !== true)
      io.out(`\n${new Date().toISOString().replace(/\.\d+Z$/, 'Z')}`);
    const once = cachedQueries(app.db);
    for (let from = 0; from < batches.length; from += TOGETHER) {
      const some = batches.slice(from, from + TOGETHER);
      const read = await Promise.all(some.map((batch) => readStatus(once, batch, config.baseUrl, asked)));
      for (const { told, lately, ...one } of read) {
        io.out(flags.json === true ? JSON.stringify(one) : describe(one, lately, told));
      }
    }
  }
}

async function readStatus(
  db: Queryable,
  batch: Batch,
  origin: string | undefined,
  asked: ForecastOptions,
): Promise<Status & Pick<Pace, 'lately'> & { told: string | undefined }> {
  const numbers = await readNumbers(db, batch.id);
  const summary = await summaryOf(db, batch, numbers, origin);
  const pace = await readPace(db, batch, summary);
  const seen = summary.counts.pending > 0 ? await outlookOf(db, batch, asked) : undefined;
  const waiting = seen !== undefined && seen.waiting > 0 ? seen : undefined;
  const tasks = summary.taskIds + summary.surplus === 0 ? null : await withNextPoll(db, batch, numbers.tasks);
  return {
    ...summary,
    ...pace,
    // The rate knows nothing of windows: where rows wait for one, the forecast says when.
    etaSeconds: waiting === undefined ? pace.etaSeconds : secondsUntil(waiting),
    limits: batch.origin === null ? [] : (await limitsInForce(db, batch.origin)).map(ofOneProvider),
    tasks,
    failReasons: numbers.failReasons,
    videos: await countVideos(db, batch.id),
    proof: await countProof(db, batch.id),
    deadline:
      batch.deadline === null
        ? null
        : {
            at: batch.deadline.toISOString(),
            on: batch.onDeadline,
            chance: seen === undefined ? 'met' : chanceOf(seen, batch.deadline),
          },
    forecast: waiting === undefined ? null : outlookJson(waiting),
    told: waiting?.told ?? (batch.deadline === null ? undefined : seen?.told),
  };
}

function secondsUntil({ doneAt, now }: Outlook): number | null {
  return doneAt === undefined ? null : Math.round((doneAt - now) / 1000);
}

function ofOneProvider({ origin: _origin, ...limit }: LimitInForce): Omit<LimitInForce, 'origin'> {
  return limit;
}

async function withNextPoll(
  db: Queryable,
  { id, origin }: Batch,
  counts: TaskCounts,
): Promise<Status['tasks']> {
  const open = openOf(counts);
  const nextMs =
    open === 0 || origin === null ? undefined : await readNextPoll(db, { origin, batches: [id] }, POLL_PLAN);
  return { open, ...counts, nextPollSeconds: nextMs === undefined ? null : Math.round(nextMs / 1000) };
}

function formatNextPoll({ open, nextPollSeconds: seconds }: NonNullable<Status['tasks']>): string {
  if (open === 0) return '';
  if (seconds === null) return ' · nobody asks for them: `vidbatch work` or `reconcile --watch` does';
  return seconds === 0 ? ' · due to be asked for' : ` · next asked for in ${formatDuration(seconds * 1000)}`;
}

function describe(status: Status, lately: Speed, told: string | undefined): string {
  const lines = [`${status.batch}  ${receipt(status)}`, `  from ${status.source}`];
  if (status.priority !== 0) lines.push(`  priority ${status.priority}`);
  const shown = STATES.filter((state) => status.counts[state] > 0);
  lines.push(`  ${shown.map((state) => `${state} ${formatCount(status.counts[state])}`).join('  ')}`);
  if (status.tasks !== null) lines.push(`  ${formatTasks(status.tasks)}${formatNextPoll(status.tasks)}`);
  const failed = formatFailedTasks(status.batch, status.failReasons);
  if (failed !== undefined) lines.push(`  ${failed}`);
  if (status.videos !== null) {
    const { downloaded, failed, expired } = status.videos;
    const not = [
      failed > 0 ? `  ${formatCount(failed)} failed` : '',
      expired > 0 ? `  ${formatCount(expired)} expired` : '',
    ];
    lines.push(`  videos: ${formatCount(downloaded)} downloaded${not.join('')}`);
  }
  if (status.rate > 0) {
    const eta =
      status.etaSeconds === null || status.forecast !== null
        ? ''
        : `  ETA ${formatDuration(status.etaSeconds * 1000)}`;
    lines.push(`  ${formatSpeed(lately)}${eta}`);
  }
  const unfed = formatUnfed(status);
  if (unfed !== undefined) lines.push(`  ${unfed}`);
  // The gate tells all of it.
  if (status.budget !== null && !status.gates.some(({ gate }) => gate === 'budget'))
    lines.push(`  budget: ${status.budget.told}`);
  const proof = formatProof(status.proof, status.counts.pending);
  if (proof !== undefined && status.gates.length === 0) lines.push(`  ${proof}`);
  const limits = formatLimits(status.limits);
  if (limits !== '' && status.fed && status.counts.pending > 0) lines.push(`  limits: ${limits}`);
  for (const { gate, reason } of status.gates) lines.push(`  waiting: ${gate}: ${reason}`);
  if (status.deadline !== null && status.counts.pending > 0) {
    const { at, chance } = status.deadline;
    lines.push(
      `  deadline: ${at} ${{ met: 'will be met', missed: 'will be missed', unknown: 'may be missed' }[chance]}`,
    );
  }
  if (told !== undefined) lines.push(`  forecast: ${told}`);
  return lines.join('\n');
}
