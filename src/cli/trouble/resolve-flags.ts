import type { Command } from 'commander';
import { usageError } from '../../core/errors.ts';
import { defined } from '../../core/json.ts';
import { parseCount, parseOneOf } from '../../core/units.ts';
import type { Choice, Reached } from '../../ledger/read/uncertain.ts';
import { checkReason, checkTaskId, type Decision } from '../../operate/resolve.ts';
import { parseTime } from '../../operate/since.ts';
import { isOn, type GlobalFlags } from '../flags/flags.ts';

export interface ResolveFlags extends GlobalFlags {
  taskId?: string;
  notSent?: boolean;
  abandon?: boolean;
  reason?: string;
  all?: boolean;
  errorCode?: string;
  httpStatus?: string;
  phase?: string;
  after?: string;
  before?: string;
}

/** Chooses rows without a key. */
export type Filter = Omit<Choice, 'batchId' | 'submissionId'>;

const PHASES = ['sending', 'sent', 'answering', 'answered', 'none'] as const satisfies Reached[];

/** The value of a filter for rows that have no such thing. */
const NONE = 'none';

/** None has a variable, because each decision about money is a new one. */
export function resolveFlags(command: Command): Command {
  return command
    .option('--task-id <id>', 'the row was accepted: its task id at the provider')
    .option(
      '--not-sent',
      'the row was not accepted: it becomes pending again; refused until the deadline of its attempt has passed',
    )
    .option('--abandon', 'give the row up, paid or not')
    .option('--reason <text>', 'how you know; kept with the row')
    .option('--all', 'instead of a key: every uncertain row of the batch')
    .option(
      '--error-code <code>',
      'instead of a key: rows with this code, such as ECONNRESET; none: without a code',
    )
    .option(
      '--http-status <n>',
      'instead of a key: rows that were answered with this status; none: without a status',
    )
    .option(
      '--phase <phase>',
      `instead of a key: rows whose exchange ended in this phase: ${PHASES.join(', ')} (no answer)`,
    )
    .option(
      '--after <time>',
      'instead of a key: rows claimed at or after this time, such as 2026-03-01T18:00Z',
    )
    .option('--before <time>', 'instead of a key: rows claimed before this time');
}

export function parseDecision({ taskId, notSent, abandon }: ResolveFlags): Decision {
  const given: Decision[] = [];
  if (taskId !== undefined) given.push({ kind: 'task-id', taskId: checkTaskId('--task-id', taskId) });
  if (isOn(notSent)) given.push({ kind: 'not-sent' });
  if (isOn(abandon)) given.push({ kind: 'abandon' });
  const [decision, ...more] = given;
  if (decision === undefined || more.length > 0) {
    throw usageError('ONE_WORD', 'give exactly one of --task-id <id>, --not-sent and --abandon');
  }
  return decision;
}

/** @throws VidbatchError exit 2 without a reason. */
export function parseReason({ reason = '' }: ResolveFlags): string {
  return checkReason('--reason', reason);
}

/**
 * Undefined with a key. Without a key, rows are chosen explicitly: by filters, or by `--all`.
 * @throws VidbatchError exit 2 for both, and for neither.
 */
export function parseFilter(key: string | undefined, flags: ResolveFlags): Filter | undefined {
  const { all, errorCode, httpStatus, phase, after, before } = flags;
  const filter: Filter = defined({
    errorCode: errorCode === NONE ? null : errorCode,
    httpStatus: httpStatus === undefined ? undefined : parseStatus(httpStatus),
    phase: phase === undefined ? undefined : parseOneOf('BAD_PHASE', '--phase', phase, PHASES),
    after: after === undefined ? undefined : parseTime('--after', after),
    before: before === undefined ? undefined : parseTime('--before', before),
  });
  const chosen = isOn(all) || Object.keys(filter).length > 0;
  if (key !== undefined && chosen)
    throw usageError('KEY_AND_FILTER', 'a key names one row, so no filter is allowed with it');
  if (key === undefined && !chosen) {
    throw usageError(
      'NO_ROWS_NAMED',
      'name a row by its key, or choose rows with --all, --error-code, --http-status, --phase, --after or --before',
      '`vidbatch uncertain` lists them.',
    );
  }
  return key === undefined ? filter : undefined;
}

function parseStatus(text: string): number | null {
  return text === NONE ? null : parseCount('--http-status', text, 100, 599);
}
