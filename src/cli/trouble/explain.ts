import type { Command } from 'commander';
import { EXIT, usageError, type ExitCode } from '../../core/errors.ts';
import { formatMoney } from '../../core/money/money.ts';
import { quoted, shorten } from '../../core/text.ts';
import type { TellTime } from '../../core/time/tell-time.ts';
import { requireBatch } from '../../ledger/batches.ts';
import { amountOf } from '../../ledger/money/budget.ts';
import { findByTask, findSubmissions } from '../../ledger/read/rows.ts';
import { readVideosOfRow, type PlacedVideo } from '../../ledger/tasks/downloads.ts';
import { formatRowLife, readRowLife, type RowLife } from '../../operate/row-life.ts';
import { formatVideo } from '../../results/download/video-list.ts';
import { tellLocal } from '../output/clock.ts';
import { configOf, globalFlags, isOn, providerFlags, type GlobalFlags } from '../flags/flags.ts';
import type { Io } from '../output/io.ts';
import { withLedger } from '../open-ledger.ts';

export function explainCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('explain <batch> <key>')
    .description(
      'the history of one row in ten lines, found by its key, the beginning of its key, or a task id',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ vidbatch explain text shot-007\n  $ vidbatch explain text task_9f2',
    )
    .action(async (batch: string, key: string, flags: GlobalFlags) =>
      exit(await explain(batch, key, flags, io)),
    );
  providerFlags(globalFlags(command));
}

async function explain(name: string, key: string, flags: GlobalFlags, io: Io): Promise<ExitCode> {
  const config = configOf(flags);
  return withLedger(config, io, async ({ db }) => {
    const batch = await requireBatch(db, name);
    const byKey = await findSubmissions(db, batch.id, key);
    const found = byKey.length > 0 ? byKey : await findByTask(db, batch.id, key);
    const row = found[0];
    if (row === undefined) {
      throw usageError(
        'NO_SUCH_ROW',
        `batch ${name} has no row with the key or task id ${key}`,
        `\`vidbatch export ${quoted(name)}\` lists them in the columns row_key and task_id.`,
      );
    }
    if (found.length > 1) {
      throw usageError(
        'AMBIGUOUS_KEY',
        `${key} begins several keys of batch ${name}: ${found.map((one) => one.key).join(', ')}`,
        'Give a longer part of the key.',
      );
    }
    const tell = isOn(flags.json) ? undefined : tellLocal(Date.now());
    const life = await readRowLife(db, batch, row, { origin: config.baseUrl, tell });
    const videos = await readVideosOfRow(db, row.id);
    if (isOn(flags.json)) io.out(JSON.stringify(toJson(life, videos)));
    else for (const line of formatLife(life, videos, tell)) io.out(line);
    return EXIT.ok;
  });
}

function toJson({ row, gates, tasks, attempts, trail }: RowLife, videos: readonly PlacedVideo[]): object {
  return {
    ...row,
    input: JSON.parse(row.input) as unknown,
    request: row.request === null ? null : (JSON.parse(row.request) as unknown),
    gates,
    tasks,
    videos,
    attempts,
    trail,
  };
}

const MOST_ATTEMPTS = 5;
const MOST_EVENTS = 3;

function formatLife(life: RowLife, videos: readonly PlacedVideo[], tell: TellTime | undefined): string[] {
  const { row, batch, tasks, gates } = life;
  const text = formatRowLife(life, tell);
  const hidden = text.attempts.length - MOST_ATTEMPTS;
  const lines = [
    `${row.batch} ${row.key}: ${row.state}${row.taskId === null ? '' : `, task ${row.taskId}`}`,
    `from     ${batch.source}:${row.line}`,
    `request  ${shorten(row.request ?? row.input, 300)}`,
  ];
  if (row.priority !== 0) lines.push(`priority ${row.priority}, with that of its batch: higher first`);
  if (row.price !== null) {
    const { amount, currency } = row.price;
    lines.push(`price    at most ${formatMoney({ amount: amountOf(amount), currency })}`);
  }
  if (row.providerStatus !== null && tasks.length === 0)
    lines.push(`provider ${row.providerStatus}, not asked yet`);
  for (const task of text.tasks) {
    const which = task.other === undefined ? '' : `${task.other}: `;
    const parts = [`${which}${task.status}`, task.url, task.expiry, task.failReason];
    lines.push(`provider ${parts.filter((part) => part !== null && part !== undefined).join(' · ')}`);
    if (task.laterStatus !== undefined) lines.push(`         ${task.laterStatus}`);
    lines.push(`         ${task.polls}`);
  }
  for (const video of videos) lines.push(`video    ${formatVideo(video, tell)}`);
  if (text.error !== undefined) lines.push(`error    ${text.error}`);
  if (hidden > 0) lines.push(`         ${hidden} earlier attempts are not shown; --json has them`);
  for (const { number, at, end, findings } of text.attempts.slice(-MOST_ATTEMPTS))
    lines.push(`attempt  ${number}  ${at}  ${end}  ${findings}`.trimEnd());
  for (const event of text.trail.slice(-MOST_EVENTS)) lines.push(`trail    ${event}`);
  for (const { gate, reason } of gates) lines.push(`waiting  ${gate}: ${reason}`);
  if (text.waitsUntil !== undefined) lines.push(`waiting  ${text.waitsUntil}`);
  const isDownloaded = videos.some(({ taskId, state }) => taskId === row.taskId && state === 'downloaded');
  lines.push(`next     ${isDownloaded ? 'nothing: its video is downloaded' : text.next}`);
  return lines;
}
