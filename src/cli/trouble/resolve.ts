import type { Command } from 'commander';
import { EXIT, usageError, type ExitCode } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { operator } from '../../core/operator.ts';
import type { State } from '../../core/states.ts';
import { quoted } from '../../core/text.ts';
import { either, formatCount, plural } from '../../core/units.ts';
import { requireBatch, type Batch } from '../../ledger/batches.ts';
import type { Moved, Said } from '../../ledger/operator/resolve.ts';
import {
  agreedRows,
  previewResolve,
  resolveRow,
  resolveRows,
  stateOf,
  type Decision,
} from '../../operate/resolve.ts';
import type { LedgerApp } from '../../worker/app.ts';
import { tellLocal } from '../output/clock.ts';
import { configOf, consentFlag, globalFlags, isOn } from '../flags/flags.ts';
import { askFirst, type Io } from '../output/io.ts';
import { logOf } from '../log.ts';
import { withLedger } from '../open-ledger.ts';
import {
  parseDecision,
  parseFilter,
  parseReason,
  resolveFlags,
  type Filter,
  type ResolveFlags,
} from './resolve-flags.ts';

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
  const tell = tellLocal(Date.now());
  const { state, taskId } = await resolveRow(app.db, batch, key, decision, said, log, { tell });
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
  const tell = tellLocal(Date.now());
  const { rows, ready, early, until, asOf } = await previewResolve(app.db, batch, filter, decision, tell);
  if (ready > 0) {
    const them = either(ready, 'it', 'them');
    const question =
      decision.kind === 'abandon'
        ? `Abandon ${them}?`
        : `Call ${them} not sent, so that ${either(ready, 'it is', 'they are')} sent again?`;
    const left =
      early === 0
        ? ''
        : `; ${rowsOf(early)} more must wait until ${until === null ? 'their deadline' : tell(until)}`;
    const matching = `${batch.name}: ${rowsOf(ready)} ${either(ready, 'matches', 'match')}${left}`;
    await askFirst(io, isOn(flags.yes), matching, question);
  }
  const agreed = agreedRows(batch, filter, decision, asOf);
  const moved = ready === 0 ? NOTHING : await resolveRows(app.db, decision, agreed, said);
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
    json: { batch: batch.name, matched: rows, ...moved, meanwhile, waiting: early },
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
