import type { Decision } from '../operate/resolve.ts';
import type { Command } from 'commander';
import { usageError } from '../core/errors.ts';
import { parseCount } from '../core/units.ts';
import type { Choice, Reached } from '../ledger/read/uncertain.ts';
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

/** Which rows, without a key. */
export type Filter = Omit<Choice, 'batchId' | 'submissionId'>;

const PHASES = ['sending', 'sent', 'answering', 'answered', 'none'] as const satisfies Reached[];

/** Without variables: what is said of money is said each time. */
export function resolveFlags(command: Command): Command {
  return command
    .option('--task-id <id>', 'it was accepted: the task id that the provider shows for it')
    .option(
      '--not-sent',
      'it was not accepted: pending again; refused until the deadline of its attempt has passed',
    )
    .option('--abandon', 'give it up, paid or not')
    .option('--reason <text>', 'how you know; kept with the row')
    .option('--all', 'instead of a key: every uncertain row of the batch')
    .option('--error-code <code>', 'instead of a key: those with this code, such as ECONNRESET')
    .option('--http-status <n>', 'instead of a key: those that were answered with this status')
    .option(
      '--phase <phase>',
      `instead of a key: those whose exchange came so far: ${PHASES.join(', ')} (nothing was heard)`,
    )
    .option('--after <time>', 'instead of a key: those claimed at or after it, such as 2026-03-01T18:00Z')
    .option('--before <time>', 'instead of a key: those claimed before it');
}

export function parseDecision({ taskId, notSent, abandon }: ResolveFlags): Decision {
  const words: Decision[] = [];
  if (taskId !== undefined) words.push({ kind: 'task-id', taskId: checkTaskId(taskId) });
  if (isOn(notSent)) words.push({ kind: 'not-sent' });
  if (isOn(abandon)) words.push({ kind: 'abandon' });
  const [word, ...more] = words;
  if (word === undefined || more.length > 0) {
    throw usageError('ONE_WORD', 'say one of --task-id <id>, --not-sent or --abandon');
  }
  return word;
}

/** As a task id in an answer: what could not be stored and found again is none. */
function checkTaskId(text: string): string {
  const taskId = text.trim();
  if (/^[^\p{Cc}\p{Cs}]{1,512}$/u.test(taskId)) return taskId;
  throw usageError('BAD_TASK_ID', '--task-id: not a text of 1 to 512 printable characters');
}

/** @throws VidbatchError exit 2 without one. */
export function parseReason({ reason = '' }: ResolveFlags): string {
  if (reason.trim() !== '') return reason.trim();
  throw usageError(
    'NO_REASON',
    '--reason: say how you know',
    'It is kept with the row, for whoever asks later.',
  );
}

/**
 * Undefined with a key. Without one, rows are chosen explicitly: by filters, or by `--all`.
 * @throws VidbatchError exit 2 for both, or neither.
 */
export function parseFilter(key: string | undefined, flags: ResolveFlags): Filter | undefined {
  const { all, errorCode, httpStatus, phase, after, before } = flags;
  const filter: Filter = {
    ...(errorCode === undefined ? {} : { errorCode }),
    ...(httpStatus === undefined ? {} : { httpStatus: parseCount('--http-status', httpStatus, 100, 599) }),
    ...(phase === undefined ? {} : { phase: parsePhase(phase) }),
    ...(after === undefined ? {} : { after: parseTime('--after', after) }),
    ...(before === undefined ? {} : { before: parseTime('--before', before) }),
  };
  const chosen = isOn(all) || Object.keys(filter).length > 0;
  if (key !== undefined && chosen)
    throw usageError('KEY_AND_FILTER', 'a key names one row: no filter beside it');
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

const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?<zone>Z|[+-]\d\d:\d\d)?)?$/i;

/** Without a zone, UTC: as every time is shown. */
function parseTime(name: string, text: string): Date {
  const match = TIME.exec(text.trim());
  const zone = text.trim().length > 10 && match?.groups?.['zone'] === undefined ? 'Z' : '';
  const time = new Date(match === null ? Number.NaN : `${text.trim().replace(' ', 'T')}${zone}`);
  if (Number.isNaN(time.getTime())) {
    throw usageError('BAD_TIME', `${name}: "${text}" is not a time such as 2026-03-01 or 2026-03-01T18:00Z`);
  }
  return time;
}
