import type { Command } from 'commander';
import { EXIT, usageError } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { operator } from '../core/operator.ts';
import type { State } from '../core/states.ts';
import { quoted } from '../core/text.ts';
import { formatCount, plural } from '../core/units.ts';
import { requireBatch } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import type { Moved, Said } from '../ledger/operator/resolve.ts';
import { countChosen } from '../ledger/read/uncertain.ts';
import { resolveRow, resolveRows, stateOf, tooEarly } from '../operate/resolve.ts';
import type { Decision } from '../operate/resolve.ts';
import type { LedgerApp } from '../worker/app.ts';
import { configOf, consentFlag, globalFlags, isOn, logOf } from './flags.ts';
import { confirm } from './io.ts';
import type { Io } from './io.ts';
import { withLedger } from './open-ledger.ts';
import { parseDecision, parseFilter, parseReason, resolveFlags } from './resolve-flags.ts';
import type { Filter, ResolveFlags } from './resolve-flags.ts';

export function resolveCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = resolveFlags(program.command('resolve <batch> [key]'))
    .description('settle an uncertain row, or many')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch resolve text shot-007 --task-id task_9f2 --reason "in the provider's list, 18:02"
  $ vidbatch resolve text shot-008 --not-sent --reason "not in the provider's list, support ticket 4411"
  $ vidbatch resolve text --error-code ECONNRESET --after 2026-03-01T18:00Z --not-sent --reason "their proxy was down"
  $ vidbatch resolve text --all --abandon --reason "campaign is over" --yes

A row is chosen if it fits all filters. \`vidbatch uncertain\` shows what is known about each row. A row that was sent and is
called not sent is paid twice. An answer may still come until the deadline of the attempt (--timeout and a minute after
the claim): before that, --not-sent is refused, and with filters such rows stay uncertain.`,
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
  const decision = parseDecision(flags);
  const said = { who: operator(), reason: parseReason(flags) };
  const filter = parseFilter(key, flags);
  return withLedger(configOf(flags), io, async (app) => {
    const batch = await requireBatch(app.db, name);
    const done =
      filter === undefined
        ? await resolveOne(
            app,
            batch,
            key ?? '',
            decision,
            said,
            logOf(flags, io.interactive ? 'warn' : 'info'),
          )
        : await resolveMany(app, batch, filter, decision, said, flags, io);
    io.out(isOn(flags.json) ? JSON.stringify(done.json) : done.text);
    return EXIT.ok;
  });
}

interface Done {
  text: string;
  json: Record<string, unknown>;
}

async function resolveOne(
  app: LedgerApp,
  batch: Batch,
  key: string,
  decision: Decision,
  said: Said,
  log: Logger,
): Promise<Done> {
  const { state, taskId } = await resolveRow(app.db, batch, key, decision, said, log);
  const what =
    taskId === undefined
      ? `${state}${formatNext(batch, state)}`
      : `submitted, task ${taskId}; \`vidbatch reconcile ${quoted(batch.name)}\` asks for its status`;
  return {
    text: `${batch.name} ${key}: ${what}`,
    json: { batch: batch.name, key, state, ...(taskId !== undefined && { taskId }) },
  };
}

async function resolveMany(
  app: LedgerApp,
  batch: Batch,
  filter: Filter,
  decision: Decision,
  said: Said,
  flags: ResolveFlags,
  io: Io,
): Promise<Done> {
  if (decision.kind === 'task-id')
    throw usageError('ONE_ROW_ONLY', '--task-id: a task belongs to one row; name the row by its key');
  const choice = { ...filter, batchId: batch.id };
  const counted = await countChosen(app.db, choice);
  const early = decision.kind === 'not-sent' ? counted.waiting : 0;
  const ready = counted.rows - early;
  if (ready === 0 && early > 0) throw tooEarly(`${batch.name}: ${rowsOf(early)}`, counted.until);
  if (ready > 0) {
    const what = decision.kind === 'abandon' ? 'abandon' : 'call not sent';
    const left = early === 0 ? '' : `; ${rowsOf(early)} more must wait until ${counted.until?.toISOString()}`;
    const question = `${batch.name}: ${rowsOf(ready)} match${left}. ${what[0]?.toUpperCase()}${what.slice(1)}?`;
    if (isOn(flags.yes)) io.err(`${batch.name}: ${rowsOf(ready)} match${left}`);
    else await confirm(io, question);
  }
  const moved =
    ready === 0 ? NOTHING : await resolveRows(app.db, decision, { ...choice, asOf: counted.asOf }, said);
  const total = moved.pending + moved.cancelled + moved.abandoned;
  // An answer may have settled rows while the person decided.
  const meanwhile = Math.max(0, ready - total);
  const parts = (['pending', 'cancelled', 'abandoned'] as const).flatMap((state) =>
    moved[state] === 0 ? [] : [`${formatCount(moved[state])} ${state}`],
  );
  if (meanwhile > 0) parts.push(`${formatCount(meanwhile)} settled by an answer meanwhile`);
  if (early > 0) parts.push(`${formatCount(early)} still uncertain until their deadline`);
  return {
    text: `${batch.name}: ${parts.length === 0 ? 'no uncertain row matches' : parts.join(' · ')}${formatNext(batch, stateOf(moved))}`,
    json: { batch: batch.name, matched: counted.rows, ...moved, meanwhile, waiting: early },
  };
}

const NOTHING: Moved = { pending: 0, cancelled: 0, abandoned: 0 };

function formatNext(batch: Batch, state: State | undefined): string {
  const name = quoted(batch.name);
  if (state === 'cancelled')
    return `; the batch was cancelled: \`vidbatch retry ${name}\` makes its rows pending again`;
  if (state !== 'pending') return '';
  if (batch.state === 'paused') return `; the batch is paused: \`vidbatch resume ${name}\` continues it`;
  return '; `vidbatch work --drain` or `vidbatch run` sends pending rows';
}

function rowsOf(n: number): string {
  return plural(n, 'uncertain row');
}
