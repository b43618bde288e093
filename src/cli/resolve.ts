import type { Command } from 'commander';
import { crashPoint } from '../core/crash-points.ts';
import { EXIT, usageError } from '../core/errors.ts';
import type { ExitCode, VidbatchError } from '../core/errors.ts';
import { formatCount } from '../core/units.ts';
import type { Logger } from '../core/log.ts';
import { nextStep } from '../core/next-step.ts';
import { quoted } from '../core/text.ts';
import type { Batch } from '../ledger/batches.ts';
import { findSubmissions } from '../ledger/read/rows.ts';
import type { SubmissionView } from '../ledger/read/rows.ts';
import { countChosen } from '../ledger/read/uncertain.ts';
import type { Counted } from '../ledger/read/uncertain.ts';
import { resolveAbandon, resolveAccepted, resolveNotSent } from '../ledger/operator/resolve.ts';
import type { Moved, Said, Seen } from '../ledger/operator/resolve.ts';
import { logAccepted } from '../worker/row-log.ts';
import type { LedgerApp } from '../worker/app.ts';
import { configOf, consentFlag, globalFlags, isOn, logOf } from './flags.ts';
import { confirm, operator } from './io.ts';
import type { Io } from './io.ts';
import { requireBatch, openLedgerOnly } from './open-ledger.ts';
import { parseFilter, parseReason, resolveFlags, parseDecision } from './resolve-flags.ts';
import type { Filter, ResolveFlags, Decision } from './resolve-flags.ts';

export function resolveCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = resolveFlags(program.command('resolve <batch> [key]'))
    .description('say what became of an uncertain row, or of many')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch resolve text shot-007 --task-id task_9f2 --reason "in the provider's list, 18:02"
  $ vidbatch resolve text shot-008 --not-sent --reason "not in the provider's list, support ticket 4411"
  $ vidbatch resolve text --error-code ECONNRESET --after 2026-03-01T18:00Z --not-sent --reason "their proxy was down"
  $ vidbatch resolve text --all --abandon --reason "campaign is over" --yes

Filters are combined. \`vidbatch uncertain\` shows what is known of each row. A row that is wrongly said to be not sent
is paid twice. Until the deadline of its attempt has passed (--timeout and a minute after the claim) an answer may still
come: --not-sent is refused before, and with filters such rows stay uncertain.`,
    )
    .action(async (batch: string, key: string | undefined, flags: ResolveFlags) =>
      exit(await resolve(batch, key, flags, io)),
    );
  consentFlag(globalFlags(command), '--yes', 'do not ask; needed without a terminal when filters are used');
}

async function resolve(
  name: string,
  key: string | undefined,
  flags: ResolveFlags,
  io: Io,
): Promise<ExitCode> {
  const word = parseDecision(flags);
  const said = { who: operator(), reason: parseReason(flags) };
  const filter = parseFilter(key, flags);
  const app = await openLedgerOnly(configOf(flags), io);
  try {
    const batch = await requireBatch(app.db, name);
    const done =
      filter === undefined
        ? await resolveOne(app, batch, key ?? '', word, said, logOf(flags, io.interactive ? 'warn' : 'info'))
        : await resolveMany(app, batch, filter, word, said, flags, io);
    io.out(flags.json === true ? JSON.stringify(done.json) : done.text);
    return EXIT.ok;
  } finally {
    await app.close();
  }
}

interface Done {
  text: string;
  json: Record<string, unknown>;
}

async function resolveOne(
  app: LedgerApp,
  batch: Batch,
  key: string,
  word: Decision,
  said: Said,
  log: Logger,
): Promise<Done> {
  const row = await rowNamed(app, batch, key);
  const choice = { batchId: batch.id, submissionId: row.id };
  const counted = await countChosen(app.db, choice);
  if (counted.rows === 0) throw await settled(app, batch, key);
  const seen = { ...choice, asOf: counted.asOf };
  if (word.kind === 'task-id') {
    const { taskId } = word;
    const accepted = await resolveAccepted(app.db, seen, taskId, said);
    crashPoint('row-resolved');
    if (accepted.kind === 'taken') {
      throw usageError(
        'TASK_ID_TAKEN',
        `task ${taskId} belongs to row ${accepted.key} of batch ${accepted.batch}: a task is one row's`,
        `\`vidbatch explain ${quoted(accepted.batch)} ${quoted(accepted.key)}\` shows it. Nothing was changed.`,
      );
    }
    if (accepted.kind === 'moved') throw await settled(app, batch, key);
    const { attemptId, number: attempt } = accepted;
    logAccepted(log, {
      batch: batch.name,
      key,
      attempt,
      attemptId,
      taskId,
      surplus: false,
      by: 'resolve',
    });
    return {
      text: `${batch.name} ${key}: submitted, task ${taskId}; \`vidbatch reconcile ${quoted(batch.name)}\` asks how it is`,
      json: { batch: batch.name, key, state: 'submitted', taskId },
    };
  }
  if (word.kind === 'not-sent' && counted.waiting > 0) throw tooEarly(`${batch.name} ${key}`, counted);
  const moved = await say(app, word, seen, said);
  const state = (['pending', 'cancelled', 'abandoned'] as const).find((one) => moved[one] > 0);
  if (state === undefined) throw await settled(app, batch, key);
  return {
    text: `${batch.name} ${key}: ${state}${whatFollows(batch, moved)}`,
    json: { batch: batch.name, key, state },
  };
}

async function resolveMany(
  app: LedgerApp,
  batch: Batch,
  filter: Filter,
  word: Decision,
  said: Said,
  flags: ResolveFlags,
  io: Io,
): Promise<Done> {
  if (word.kind === 'task-id')
    throw usageError('ONE_ROW_ONLY', '--task-id: a task is one row; name it by its key');
  const choice = { ...filter, batchId: batch.id };
  const counted = await countChosen(app.db, choice);
  const early = word.kind === 'not-sent' ? counted.waiting : 0;
  const ready = counted.rows - early;
  if (ready === 0 && early > 0) throw tooEarly(`${batch.name}: ${rowsOf(early)}`, counted);
  if (ready > 0) {
    const what = word.kind === 'abandon' ? 'abandon' : 'call not sent';
    const left =
      early === 0 ? '' : `; ${rowsOf(early)} more cannot be yet, until ${counted.until?.toISOString()}`;
    const question = `${batch.name}: ${rowsOf(ready)} match${left}. ${what[0]?.toUpperCase()}${what.slice(1)}?`;
    if (isOn(flags.yes)) io.err(`${batch.name}: ${rowsOf(ready)} match${left}`);
    else await confirm(io, question);
  }
  const moved = ready === 0 ? NOTHING : await say(app, word, { ...choice, asOf: counted.asOf }, said);
  const total = moved.pending + moved.cancelled + moved.abandoned;
  // An answer came in while the person thought, and knows better.
  const meanwhile = Math.max(0, ready - total);
  const parts = (['pending', 'cancelled', 'abandoned'] as const).flatMap((state) =>
    moved[state] === 0 ? [] : [`${formatCount(moved[state])} ${state}`],
  );
  if (meanwhile > 0) parts.push(`${formatCount(meanwhile)} settled by an answer meanwhile`);
  if (early > 0) parts.push(`${formatCount(early)} still uncertain until their deadline`);
  return {
    text: `${batch.name}: ${parts.length === 0 ? 'no uncertain row matches' : parts.join(' · ')}${whatFollows(batch, moved)}`,
    json: { batch: batch.name, matched: counted.rows, ...moved, meanwhile, waiting: early },
  };
}

const NOTHING: Moved = { pending: 0, cancelled: 0, abandoned: 0 };

async function say(
  app: LedgerApp,
  word: Exclude<Decision, { kind: 'task-id' }>,
  seen: Seen,
  said: Said,
): Promise<Moved> {
  const moved = await (word.kind === 'not-sent'
    ? resolveNotSent(app.db, seen, said)
    : resolveAbandon(app.db, seen, said));
  crashPoint('row-resolved');
  return moved;
}

function whatFollows(batch: Batch, moved: Moved): string {
  const name = quoted(batch.name);
  if (moved.cancelled > 0)
    return `; the batch was cancelled: \`vidbatch retry ${name}\` takes its rows up again`;
  if (moved.pending === 0) return '';
  if (batch.state === 'paused') return `; the batch is paused: \`vidbatch resume ${name}\` lets them go on`;
  return '; `vidbatch work --drain` or `vidbatch run` sends what is pending';
}

/** The key has to be the whole one: of "shot-1" and "shot-10", the wrong one would be paid twice. */
async function rowNamed(app: LedgerApp, batch: Batch, key: string): Promise<SubmissionView> {
  const found = await findSubmissions(app.db, batch.id, key);
  const row = found.find((one) => one.key === key);
  if (row !== undefined) return row;
  const near = found.map((one) => one.key).join(', ');
  throw usageError(
    'NO_SUCH_ROW',
    `batch ${batch.name} has no row with the key ${key}`,
    near === ''
      ? `\`vidbatch uncertain ${quoted(batch.name)}\` lists those that can be resolved.`
      : `Give the whole key; there are: ${near}.`,
  );
}

/** The row is not uncertain, or is no more: what it is now, and what can be done with it. */
async function settled(app: LedgerApp, batch: Batch, key: string): Promise<VidbatchError> {
  const row = await rowNamed(app, batch, key);
  const task = row.taskId === null ? '' : `, task ${row.taskId}`;
  return usageError(
    'NOT_UNCERTAIN',
    `${batch.name} ${key} is ${row.state}${task}: only an uncertain row is resolved`,
    `Next: ${nextStep(row)}.`,
  );
}

function tooEarly(what: string, { until }: Counted): VidbatchError {
  return usageError(
    'BEFORE_DEADLINE',
    `${what}: an answer may still come until ${until?.toISOString() ?? 'the deadline'}; before that nobody can say that it was not sent`,
    'Try again then; --task-id and --abandon are possible now.',
  );
}

function rowsOf(n: number): string {
  return `${formatCount(n)} uncertain ${n === 1 ? 'row' : 'rows'}`;
}
