import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { chanceOf } from '../../batch/deadline.ts';
import { outlookJson, outlookOf, type Asked, type Outlook } from '../../batch/outlook.ts';
import { EXIT, type ExitCode } from '../../core/errors.ts';
import { POLL_PLAN } from '../../core/poll-plan.ts';
import { STATES } from '../../core/states.ts';
import { openOf, type TaskCounts } from '../../core/task-status.ts';
import type { TellTime } from '../../core/time/tell-time.ts';
import { formatCount, formatDuration } from '../../core/units.ts';
import type { Queryable } from '../../database/database.ts';
import { requireBatch, countProof, listBatches, type Batch } from '../../ledger/batches.ts';
import { readCosts } from '../../ledger/money/costs.ts';
import { readNumbers, type Speed } from '../../ledger/read/batch-numbers.ts';
import { cachedQueries } from '../../ledger/read/query.ts';
import { limitsInForce, type LimitInForce } from '../../ledger/send/quota.ts';
import { countVideos } from '../../ledger/tasks/downloads.ts';
import { readNextPoll } from '../../ledger/tasks/poll.ts';
import { readAttention } from '../../operate/attention.ts';
import {
  formatFailedTasks,
  formatProof,
  receipt,
  formatTasks,
  summaryOf,
  readPace,
  formatSpeed,
  formatUnfed,
  type Pace,
} from '../../operate/summary.ts';
import { readUnreadAnswers } from '../../operate/unread.ts';
import { DEFAULT_PROFILE } from '../../provider/profile/load.ts';
import type { LedgerApp } from '../../worker/app.ts';
import { formatTime, tellLocal } from '../output/clock.ts';
import { configOf, flag, globalFlags, isOn, providerFlags, type GlobalFlags } from '../flags/flags.ts';
import { formatLimits } from '../output/format.ts';
import type { Io } from '../output/io.ts';
import { logOf } from '../log.ts';
import { ledgerOpener, withLedger, withReconnect } from '../open-ledger.ts';
import { formatOverview, type Status } from './overview.ts';
import { onInterrupt } from '../signals.ts';
import { Styled, type Line } from '../output/style.ts';
import { forecastOptions, forecastRateFlag, offPeakFlag, type ForecastFlags } from '../flags/time.ts';

export function statusCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('status [batch]')
    .description('what needs attention, then counts by state, rate, ETA, and what keeps rows waiting')
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
  offPeakFlag(forecastRateFlag(command));
}

/** Batches that are read at a time, because most of the time is spent waiting for the database. */
const TOGETHER = 4;

type StatusFlags = GlobalFlags & ForecastFlags & { watch?: boolean };

async function status(name: string | undefined, flags: StatusFlags, io: Io): Promise<ExitCode> {
  const config = configOf(flags);
  const asked = forecastOptions(flags, config);
  const interrupt = onInterrupt(io.quit);
  try {
    if (!isOn(flags.watch)) {
      await withLedger(config, io, print);
      return EXIT.ok;
    }
    const log = logOf(flags, 'warn');
    await withReconnect(config, log, interrupt.signal, ledgerOpener(config, io, log), async (app, moving) => {
      while (!moving.aborted) {
        await print(app);
        await sleep(2000, undefined, { signal: moving }).catch(() => undefined);
      }
    });
    return EXIT.ok;
  } finally {
    interrupt.dispose();
  }

  async function print(app: LedgerApp): Promise<void> {
    const { db } = app;
    const batches = name === undefined ? await listBatches(db) : [await requireBatch(db, name)];
    if (batches.length === 0) io.err('no batches yet');
    const asText = !isOn(flags.json);
    const now = Date.now();
    const tell = asText ? tellLocal(now) : undefined;
    if (isOn(flags.watch) && asText) io.out(`\n${formatTime(new Date(now))}`);
    const once = cachedQueries(db);
    const seen: { batch: Batch; status: Status }[] = [];
    for (let from = 0; from < batches.length; from += TOGETHER) {
      const some = batches.slice(from, from + TOGETHER);
      const read = await Promise.all(
        some.map((batch) => readStatus(once, batch, config.baseUrl, asked, tell)),
      );
      for (const [n, { forecastText, lately, ...status }] of read.entries()) {
        const batch = some[n];
        if (!asText) io.out(JSON.stringify(status));
        else if (name !== undefined)
          for (const line of formatStatus(status, lately, forecastText, tellLocal(now))) io.out(line);
        else if (batch !== undefined) seen.push({ batch, status });
      }
    }
    if (seen.length === 0) return;
    const attention = await readAttention(db);
    const costs = await readCosts(db, { batchId: null, since: null, by: ['batch'], zone: 'UTC' });
    for (const line of formatOverview(seen, { attention, costs, width: io.width, now })) io.out(line);
  }
}

async function readStatus(
  db: Queryable,
  batch: Batch,
  origin: string | undefined,
  asked: Asked,
  tell: TellTime | undefined,
): Promise<Status & Pick<Pace, 'lately'> & { forecastText: string | undefined }> {
  const numbers = await readNumbers(db, batch.id);
  const summary = await summaryOf(db, batch, numbers, origin, tell);
  const pace = await readPace(db, batch, summary);
  const outlook = summary.counts.pending > 0 ? await outlookOf(db, batch, asked) : undefined;
  const waiting = outlook !== undefined && outlook.waiting > 0 ? outlook : undefined;
  const tasks = summary.taskIds + summary.surplus === 0 ? null : await withNextPoll(db, batch, numbers.tasks);
  return {
    ...summary,
    ...pace,
    // The rate does not consider windows. If rows wait for one, the forecast says when they end.
    etaSeconds: waiting === undefined ? pace.etaSeconds : secondsUntil(waiting),
    limits: batch.origin === null ? [] : (await limitsInForce(db, batch.origin)).map(withoutOrigin),
    tasks,
    failReasons: numbers.failReasons,
    profile: batch.profile,
    unread: await readUnreadAnswers(db, batch),
    videos: await countVideos(db, batch.id),
    proof: await countProof(db, batch.id),
    deadline:
      batch.deadline === null
        ? null
        : {
            at: batch.deadline.toISOString(),
            on: batch.onDeadline,
            chance: outlook === undefined ? 'met' : chanceOf(outlook, batch.deadline),
          },
    forecast: waiting === undefined ? null : outlookJson(waiting),
    forecastText: waiting?.told ?? (batch.deadline === null ? undefined : outlook?.told),
  };
}

function secondsUntil({ doneAt, now }: Outlook): number | null {
  return doneAt === undefined ? null : Math.round((doneAt - now) / 1000);
}

function withoutOrigin({ origin: _origin, ...limit }: LimitInForce): Omit<LimitInForce, 'origin'> {
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
  if (seconds === null) return ' · no process polls them: start `vidbatch work` or `reconcile --watch`';
  return seconds === 0 ? ' · next poll now' : ` · next poll in ${formatDuration(seconds * 1000)}`;
}

function formatStatus(
  status: Status,
  lately: Speed,
  forecastText: string | undefined,
  tell: TellTime,
): Line[] {
  const lines: Line[] = [
    [new Styled('heading', status.batch), `  ${receipt(status)}`],
    `  manifest ${status.source}`,
  ];
  if (status.profile !== DEFAULT_PROFILE) lines.push(`  profile ${status.profile}`);
  if (status.priority !== 0) lines.push(`  priority ${status.priority}`);
  const shown = STATES.filter((state) => status.counts[state] > 0);
  lines.push(`  ${shown.map((state) => `${state} ${formatCount(status.counts[state])}`).join('  ')}`);
  if (status.tasks !== null) lines.push(`  ${formatTasks(status.tasks)}${formatNextPoll(status.tasks)}`);
  for (const { told } of status.unread) lines.push(`  unread: ${told}`);
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
  // The budget gate says the same.
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
      `  deadline: ${tell(new Date(at))} ${{ met: 'will be met', missed: 'will be missed', unknown: 'may be missed' }[chance]}`,
    );
  }
  if (forecastText !== undefined) lines.push(`  forecast: ${forecastText}`);
  return lines;
}
