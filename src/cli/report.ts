import type { Command } from 'commander';
import { formatEstimate, estimateJson } from '../batch/estimate.ts';
import { EXIT } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { parseAmount, formatMoney } from '../core/money/money.ts';
import { remakeLine } from '../core/next-step.ts';
import { oneLine } from '../core/text.ts';
import { formatCount, formatDuration, plural } from '../core/units.ts';
import { requireBatch } from '../ledger/batches.ts';
import type { Ending, Percentiles } from '../ledger/read/batch-numbers.ts';
import { readReport } from '../operate/report.ts';
import type { Report } from '../operate/report.ts';
import { receipt } from '../operate/summary.ts';
import { configOf, globalFlags, isOn } from './flags.ts';
import type { GlobalFlags } from './flags.ts';
import { formatCosts } from './format.ts';
import type { Io } from './io.ts';
import { pricesFlag, pricesOf } from './manifest-flags.ts';
import type { PriceFlags } from './manifest-flags.ts';
import { withLedger } from './open-ledger.ts';

export function reportCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('report <batch>')
    .description('a batch in numbers: calls, latencies, outcomes with examples, tasks and cost')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch report text
  $ vidbatch report text --prices jobs/prices.example.json --json

Latency is the time from the claim of a call to the record of its answer. Billed amounts come from
\`reconcile --provider-file\`.`,
    )
    .action(async (batch: string, flags: ReportFlags) => exit(await report(batch, flags, io)));
  pricesFlag(globalFlags(command));
}

type ReportFlags = GlobalFlags & PriceFlags;

async function report(name: string, flags: ReportFlags, io: Io): Promise<ExitCode> {
  const prices = await pricesOf(flags);
  return withLedger(configOf(flags), io, async ({ db }) => {
    const seen = await readReport(db, await requireBatch(db, name), prices);
    io.out(isOn(flags.json) ? JSON.stringify(toJson(seen)) : formatReport(seen).join('\n'));
    return EXIT.ok;
  });
}

function formatReport(seen: Report): string[] {
  const { calls, durationMs, tasks } = seen;
  const lines = [`${seen.batch}  ${receipt(seen)}`, `  from     ${seen.source}`];
  if (durationMs !== null && calls.first !== null && calls.last !== null) {
    const rate = rateOf(seen);
    lines.push(
      `  sent     from ${calls.first.toISOString()} to ${calls.last.toISOString()}, ${formatDuration(durationMs)}${rate === null ? '' : `: ${rate.toFixed(1)} task ids a second`}`,
    );
  }
  const parts = [formatCount(calls.total)];
  if (calls.repeated > 0) parts.push(`${formatCount(calls.repeated)} of them again`);
  if (calls.throttled > 0) parts.push(`${formatCount(calls.throttled)} throttled`);
  if (calls.open > 0) parts.push(`${formatCount(calls.open)} without an end`);
  lines.push(`  calls    ${parts.join(' · ')}`);
  if (calls.latency !== null) lines.push(`  latency  ${formatPercentiles(calls.latency)}`);
  for (const ending of seen.endings) lines.push(...formatEnding(ending));
  if (seen.taskIds > 0) {
    const statuses = Object.entries(tasks.byStatus).map(([status, n]) => `${formatCount(n)} ${status}`);
    lines.push(
      `  tasks    ${statuses.join(' · ')} · settled ${formatPercent(tasks.settled, seen.counts.submitted)}`,
    );
  }
  for (const { reason, tasks: n } of tasks.failReasons)
    lines.push(`    failed ${oneLine(reason, 120)}: ${formatCount(n)}`);
  if (tasks.failReasons.length > 0)
    lines.push(`    next   \`${remakeLine(seen.batch)}\` makes failed tasks again, and pays again`);
  if (tasks.times !== null) lines.push(`  ends     known after ${formatPercentiles(tasks.times)}`);
  lines.push(
    `  cost     estimated: ${seen.estimated === null ? 'unknown, --prices FILE gives the prices' : formatEstimate(seen.estimated)}`,
  );
  lines.push(
    `           billed: ${seen.billed.length === 0 ? 'unknown, `vidbatch reconcile --provider-file` reads bills' : seen.billed.map(formatBilled).join(' and ')}`,
  );
  const told = formatCosts(seen.answered);
  if (told !== undefined) lines.push(`           billed by the answers: ${told}`);
  return lines;
}

function formatEnding({ outcome, errorCode, calls, examples }: Ending): string[] {
  const statuses = new Set(examples.map(({ httpStatus }) => httpStatus));
  const [status] = errorCode === null && statuses.size === 1 ? statuses : [];
  const name = [outcome ?? 'no answer recorded', errorCode, status == null ? null : `HTTP ${status}`]
    .filter((part) => part !== null)
    .join(' ');
  return [
    `    ${name}: ${formatCount(calls)}`,
    ...examples.map(({ key, httpStatus, error }) => {
      const what = [
        httpStatus === null ? null : `HTTP ${httpStatus}`,
        error === null ? null : oneLine(error, 120),
      ];
      return `      ${[key, ...what].filter((part) => part !== null).join(' · ')}`;
    }),
  ];
}

function formatPercentiles({ p50, p90, p99, max }: Percentiles): string {
  return `p50 ${formatMs(p50)} · p90 ${formatMs(p90)} · p99 ${formatMs(p99)} · max ${formatMs(max)}`;
}

function formatMs(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : formatDuration(ms);
}

function formatPercent(part: number, whole: number): string {
  return whole === 0 ? '0 %' : `${((100 * part) / whole).toFixed(part === whole ? 0 : 1)} %`;
}

function formatBilled({ amount, currency, tasks }: Report['billed'][number]): string {
  const read = parseAmount(amount);
  return `${read === undefined ? `${amount} ${currency}` : formatMoney({ amount: read, currency })} for ${plural(tasks, 'task')}`;
}

/** Task ids a second; null: the time is too short to tell. */
function rateOf({ durationMs, taskIds }: Report): number | null {
  return durationMs === null || durationMs <= 0 || taskIds === 0 ? null : taskIds / (durationMs / 1000);
}

function toJson(seen: Report): Record<string, unknown> {
  const { calls, durationMs, tasks, estimated, endings, ...rest } = seen;
  const { first, last, latency, ...counted } = calls;
  return {
    ...rest,
    startedAt: first,
    lastAt: last,
    seconds: durationMs === null ? null : durationMs / 1000,
    taskIdsPerSecond: rateOf(seen),
    calls: { ...counted, latencyMs: latency, endings },
    tasks: {
      byStatus: tasks.byStatus,
      settled: tasks.settled,
      settledShare: seen.counts.submitted === 0 ? null : tasks.settled / seen.counts.submitted,
      durationMs: tasks.times,
      failReasons: tasks.failReasons,
    },
    estimated: estimated === null ? null : estimateJson(estimated),
  };
}
