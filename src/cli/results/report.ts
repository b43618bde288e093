import type { Command } from 'commander';
import { formatEstimate, estimateJson } from '../../batch/estimate.ts';
import { EXIT, type ExitCode } from '../../core/errors.ts';
import { parseAmount, formatMoney } from '../../core/money/money.ts';
import { remakeLine } from '../../core/next-step.ts';
import { oneLine } from '../../core/text.ts';
import { formatCount, formatDuration, plural } from '../../core/units.ts';
import { requireBatch } from '../../ledger/batches.ts';
import type { Ending, Percentiles } from '../../ledger/read/batch-numbers.ts';
import { formatMs, formatPercent, rateOf, readReport, type Report } from '../../operate/report.ts';
import { readReportExtras, reportPage } from '../../operate/report-page.ts';
import { receipt } from '../../operate/summary.ts';
import { redactor } from '../../provider/api-key.ts';
import { tellLocal } from '../output/clock.ts';
import { configOf, consentFlag, flag, globalFlags, isOn, type GlobalFlags } from '../flags/flags.ts';
import { formatCosts } from '../output/format.ts';
import type { Io } from '../output/io.ts';
import { pricesFlag, pricesOf, type PriceFlags } from '../flags/manifest.ts';
import { withLedger } from '../open-ledger.ts';
import { writeDispute, type DisputeFlags } from './dispute.ts';
import { fileNameOf, outputFlags, writeOutput, type OutputFlags } from '../flags/output-file.ts';

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
  $ vidbatch report text --html                writes text.report.html
  $ vidbatch report text --html --output -     | less
  $ vidbatch report text --dispute             writes text.dispute.csv

With --dispute it lists what was charged or may have been charged for nothing: tasks that were charged more than once,
surplus tasks, failed tasks and requests without a clear answer, each with its ids, times, status, price and raw
answer. Prompts are left out, also of the answers, unless --with-prompts is given. The API key is nowhere.

With --html it is one file for the person who paid: charts, failures, the receipt and the cost. Nothing in it is loaded
from elsewhere.

Latency is the time from the claim of a call to the record of its answer. Billed amounts come from
\`reconcile --provider-file\`.`,
    )
    .action(async (batch: string, flags: ReportFlags) => exit(await report(batch, flags, io)));
  pricesFlag(globalFlags(command));
  flag(command, '--html', 'one HTML file with charts, to be read in a browser and printed');
  flag(command, '--dispute', "what to send to the provider's support, as CSV, or as HTML with --html");
  consentFlag(command, '--with-prompts', 'with --dispute: also what was sent');
  outputFlags(command, '<batch>.report.html, <batch>.dispute.csv or .html');
}

type ReportFlags = GlobalFlags & PriceFlags & OutputFlags & DisputeFlags;

async function report(name: string, flags: ReportFlags, io: Io): Promise<ExitCode> {
  const prices = await pricesOf(flags);
  const config = configOf(flags);
  const redact = redactor(config.apiKey);
  return withLedger(config, io, async ({ db }) => {
    const batch = await requireBatch(db, name);
    if (isOn(flags.dispute)) return writeDispute(db, batch, { flags, redact }, io);
    const seen = await readReport(db, batch, prices);
    if (isOn(flags.html)) {
      const page = reportPage(seen, batch, await readReportExtras(db, batch), new Date());
      const path = flags.output ?? `${fileNameOf(batch.name)}.report.html`;
      const written = await writeOutput(path, [redact(page)], flags, io);
      if (written !== undefined)
        io.out(isOn(flags.json) ? JSON.stringify({ file: written }) : `wrote ${written}`);
      return EXIT.ok;
    }
    io.out(isOn(flags.json) ? JSON.stringify(toJson(seen)) : formatReport(seen).join('\n'));
    return EXIT.ok;
  });
}

function formatReport(seen: Report): string[] {
  const { calls, durationMs, tasks } = seen;
  const tell = tellLocal(Date.now());
  const lines = [`${seen.batch}  ${receipt(seen)}`, `  manifest ${seen.source}`];
  if (durationMs !== null && calls.first !== null && calls.last !== null) {
    const rate = rateOf(seen);
    lines.push(
      `  sent     from ${tell(calls.first)} to ${tell(calls.last, calls.first)}, ${formatDuration(durationMs)}${rate === null ? '' : `: ${rate.toFixed(1)} task ids a second`}`,
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
  if (tasks.times !== null)
    lines.push(`  videos   known to be ready after ${formatPercentiles(tasks.times)}`);
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

function formatBilled({ amount, currency, tasks }: Report['billed'][number]): string {
  const read = parseAmount(amount);
  return `${read === undefined ? `${amount} ${currency}` : formatMoney({ amount: read, currency })} for ${plural(tasks, 'task')}`;
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
