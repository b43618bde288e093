import type { Command } from 'commander';
import { EXIT, usageError } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import type { Batch } from '../ledger/batches.ts';
import { amountOf } from '../ledger/money/budget.ts';
import { findByTask, findSubmissions } from '../ledger/read/rows.ts';
import { readAttempts, readTrail } from '../ledger/read/row-history.ts';
import type { SubmissionView } from '../ledger/read/rows.ts';
import type { AttemptView, TrailView } from '../ledger/read/row-history.ts';
import { readTasks } from '../ledger/tasks/tasks.ts';
import type { TaskView } from '../ledger/tasks/tasks.ts';
import {
  deedOf,
  endOf,
  findingsOf,
  shorten,
  timeOf,
  formatExpiry,
  formatLaterStatus,
  formatPolls,
  formatStatus,
} from '../operate/life.ts';
import { formatMoney } from '../core/money/money.ts';
import type { Gate } from '../operate/gate.ts';
import { nextStepOf, ownTime, readGatesOf } from '../operate/row-gate.ts';
import { quoted } from '../core/shell-word.ts';
import { formatVideo } from '../results/download/video-list.ts';
import { readVideosOfRow } from '../ledger/tasks/videos.ts';
import type { PlacedVideo } from '../ledger/tasks/videos.ts';
import { batchNamed } from './batch-named.ts';
import { configOf, globalFlags, providerFlags } from './io.ts';
import type { GlobalFlags, Io } from './io.ts';
import { openAlone } from './ledger-alone.ts';

export function explainCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('explain <batch> <key>')
    .description("one row's life in ten lines, by its key, the beginning of it, or a task id")
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
  const app = await openAlone(config, io);
  try {
    const batch = await batchNamed(app.db, name);
    const byKey = await findSubmissions(app.db, batch.id, key);
    const found = byKey.length > 0 ? byKey : await findByTask(app.db, batch.id, key);
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
        'Give more of the key.',
      );
    }
    const attempts = await readAttempts(app.db, row.id);
    const trail = await readTrail(app.db, row.id);
    const tasks = await readTasks(app.db, row.id);
    const videos = await readVideosOfRow(app.db, row.id);
    const gates = row.state === 'pending' ? await readGatesOf(app.db, batch, row, config.baseUrl) : [];
    if (flags.json === true)
      io.out(
        JSON.stringify({
          ...row,
          input: JSON.parse(row.input),
          request: row.request === null ? null : JSON.parse(row.request),
          gates,
          tasks,
          videos,
          attempts,
          trail,
        }),
      );
    else for (const line of describe(batch, row, { tasks, videos, attempts, trail, gates })) io.out(line);
    return EXIT.ok;
  } finally {
    await app.close();
  }
}

function describe(
  batch: Batch,
  row: SubmissionView,
  known: {
    tasks: readonly TaskView[];
    videos: readonly PlacedVideo[];
    attempts: readonly AttemptView[];
    trail: readonly TrailView[];
    gates: readonly Gate[];
  },
): string[] {
  const { tasks, videos, attempts, trail, gates } = known;
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
  for (const task of tasks) lines.push(...describeTask(task, row));
  for (const video of videos) lines.push(`video    ${formatVideo(video)}`);
  if (row.errorCode !== null || row.error !== null) {
    lines.push(
      `error    ${[row.errorCode, row.httpStatus === null ? null : `HTTP ${row.httpStatus}`, row.error].filter((part) => part !== null).join(' · ')}`,
    );
  }
  if (attempts.length > 5)
    lines.push(`         ${attempts.length - 5} earlier attempts are not shown; --json has them`);
  for (const attempt of attempts.slice(-5)) lines.push(describeAttempt(attempt));
  for (const one of trail.slice(-3)) lines.push(describeTrail(one));
  for (const gate of gates) lines.push(`waiting  ${gate.gate}: ${gate.reason}`);
  const until = ownTime(row);
  if (until !== undefined) lines.push(`waiting  ${until}`);
  lines.push(`next     ${nextStepOf(row, batch, gates)}`);
  return lines;
}

function describeTask(task: TaskView, { taskId }: SubmissionView): string[] {
  const earlier = task.taskId === taskId ? '' : `earlier task ${task.taskId}: `;
  const which = task.surplus ? `SURPLUS task ${task.taskId}: ` : earlier;
  const parts = [
    `${which}${formatStatus(task)}`,
    task.resultUrl,
    formatExpiry(task),
    task.taskId === taskId ? null : task.failReason,
  ];
  const later = formatLaterStatus(task);
  return [
    `provider ${parts.filter((part) => part !== null && part !== undefined).join(' · ')}`,
    ...(later === undefined ? [] : [`         ${later}`]),
    `         ${formatPolls(task)}`,
  ];
}

function describeAttempt(attempt: AttemptView): string {
  return `attempt  ${attempt.number}  ${timeOf(attempt).toISOString()}  ${endOf(attempt)}  ${findingsOf(attempt).join(' · ')}`.trimEnd();
}

function describeTrail(one: TrailView): string {
  return `trail    ${one.at.toISOString()}  ${deedOf(one)}`;
}
