import type { Command } from 'commander';
import { usageError } from '../core/errors.ts';
import { defined } from '../core/json.ts';
import { parseCount } from '../core/units.ts';
import type { Choice, Reached } from '../ledger/read/uncertain.ts';
import type { Decision } from '../operate/resolve.ts';
import { parseTime } from '../operate/since.ts';
import { isOn } from './flags.ts';
import type { GlobalFlags } from './flags.ts';

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
    .option('--error-code <code>', 'instead of a key: rows with this code, such as ECONNRESET')
    .option('--http-status <n>', 'instead of a key: rows that were answered with this status')
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
  if (taskId !== undefined) given.push({ kind: 'task-id', taskId: checkTaskId(taskId) });
  if (isOn(notSent)) given.push({ kind: 'not-sent' });
  if (isOn(abandon)) given.push({ kind: 'abandon' });
  const [decision, ...more] = given;
  if (decision === undefined || more.length > 0) {
    throw usageError('ONE_WORD', 'give exactly one of --task-id <id>, --not-sent and --abandon');
  }
  return decision;
}

/** The rule for task ids in answers: a task id must be storable. */
function checkTaskId(text: string): string {
  const taskId = text.trim();
  if (/^[^\p{Cc}\p{Cs}]{1,512}$/u.test(taskId)) return taskId;
  throw usageError('BAD_TASK_ID', '--task-id: not a text of 1 to 512 printable characters');
}

/** @throws VidbatchError exit 2 without a reason. */
export function parseReason({ reason = '' }: ResolveFlags): string {
  if (reason.trim() !== '') return reason.trim();
  throw usageError('NO_REASON', '--reason: say how you know', 'The reason is kept with the row.');
}

/**
 * Undefined with a key. Without a key, rows are chosen explicitly: by filters, or by `--all`.
 * @throws VidbatchError exit 2 for both, and for neither.
 */
export function parseFilter(key: string | undefined, flags: ResolveFlags): Filter | undefined {
  const { all, errorCode, httpStatus, phase, after, before } = flags;
  const filter: Filter = defined({
    errorCode,
    httpStatus: httpStatus === undefined ? undefined : parseCount('--http-status', httpStatus, 100, 599),
    phase: phase === undefined ? undefined : parsePhase(phase),
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

function parsePhase(text: string): Reached {
  const phase = PHASES.find((one) => one === text);
  if (phase === undefined)
    throw usageError('BAD_PHASE', `--phase: "${text}" is not one of ${PHASES.join(', ')}`);
  return phase;
}
