import { usageError } from '../../core/errors.ts';
import { findZone } from '../../core/time/zone.ts';
import type { Reached, Unsettled } from '../../ledger/read/uncertain.ts';
import { parseMap, type ColumnMap } from '../../manifest/columns.ts';
import { checkReason, checkTaskId, type Decision, type SharedDecision } from '../../operate/resolve.ts';
import { REACHED } from '../../operate/row-life.ts';
import { batchPath } from '../url.ts';

/** Uncertain rows to which the same happened. Null chooses the rows without a code or without a status. */
export interface GroupChoice {
  errorCode: string | null;
  httpStatus: number | null;
  phase: Reached;
}

/** What a person typed on the page of one row. */
export interface SettleForm {
  do: string;
  taskId: string;
  /** The task id of the candidate that was chosen. */
  candidate: string;
  reason: string;
  asOf: string;
  /** The list of the provider, as it was pasted. */
  list: string;
  zone: string;
  columns: string;
}

export const EMPTY_FORM: SettleForm = {
  do: '',
  taskId: '',
  candidate: '',
  reason: '',
  asOf: '',
  list: '',
  zone: '',
  columns: '',
};

/** One text of a form or a query; empty: it is not given. @throws VidbatchError exit 2 for one that cannot be stored. */
export function fieldOf(body: unknown, name: string): string {
  const value = (body as Record<string, unknown> | null | undefined)?.[name];
  if (typeof value !== 'string') return '';
  // Postgres cannot store it.
  if (value.includes('\0')) throw usageError('BAD_FIELDS', `${name}: it contains the character NUL`);
  return value;
}

export function readSettleForm(body: unknown): SettleForm {
  const names = Object.keys(EMPTY_FORM) as (keyof SettleForm)[];
  return Object.fromEntries(names.map((name) => [name, fieldOf(body, name)])) as Record<
    keyof SettleForm,
    string
  >;
}

/** @throws VidbatchError exit 2 for a form that decides nothing, or names two tasks. */
export function decisionOf(form: SettleForm): Decision {
  if (form.do !== 'task-id') return sharedDecisionOf(form.do);
  const [candidate, typed] = [form.candidate.trim(), form.taskId.trim()];
  if (candidate !== '' && typed !== '' && candidate !== typed) {
    throw usageError('TWO_TASK_IDS', `choose one task: ${candidate} is chosen, and ${typed} is typed`);
  }
  return { kind: 'task-id', taskId: checkTaskId('task id', candidate === '' ? typed : candidate) };
}

/** A decision that may be made about many rows. @throws VidbatchError exit 2 */
export function sharedDecisionOf(text: string): SharedDecision {
  if (text === 'not-sent' || text === 'abandon') return { kind: text };
  throw usageError('NO_DECISION', 'choose one of the decisions');
}

/** @throws VidbatchError exit 2 without a reason. */
export function reasonOf(text: string): string {
  return checkReason('reason', text);
}

/** The moment at which the page was made, in the database's format. @throws VidbatchError exit 2 */
export function asOfOf(text: string): string {
  if (/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?[+-]\d\d(:\d\d){0,2}$/.test(text)) return text;
  throw usageError('BAD_FORM', 'the form does not say when its page was made: open the page again');
}

/** How the times and columns of a pasted list are read. @throws VidbatchError exit 2 */
export function listOptionsOf({ zone, columns }: SettleForm): { zone: string | undefined; map: ColumnMap } {
  const found = zone.trim() === '' ? undefined : findZone(zone.trim());
  if (zone.trim() !== '' && found === undefined)
    throw usageError('BAD_ZONE', `zone: "${zone}" is not a zone such as Asia/Shanghai`);
  return { zone: found, map: parseMap(columns.trim() === '' ? [] : [columns]) };
}

const PHASES: readonly Reached[] = [...(Object.keys(REACHED) as (keyof typeof REACHED)[]), 'none'];

/** The group of a page's URL or form. @throws VidbatchError exit 2 for a phase or a status that does not exist. */
export function groupOf(query: unknown): GroupChoice {
  const phase = PHASES.find((one) => one === fieldOf(query, 'phase'));
  if (phase === undefined) throw usageError('BAD_PHASE', `phase: is not one of ${PHASES.join(', ')}`);
  const [code, status] = [fieldOf(query, 'code'), fieldOf(query, 'status')];
  if (status !== '' && !/^\d{3}$/.test(status))
    throw usageError('BAD_STATUS', 'status: is not a number such as 502');
  return {
    phase,
    errorCode: code === '' ? null : code,
    httpStatus: status === '' ? null : Number(status),
  };
}

/** The group of a row. */
export function groupOfRow({ attempt }: Pick<Unsettled, 'attempt'>): GroupChoice {
  return {
    phase: attempt?.phase ?? 'none',
    errorCode: attempt?.code ?? null,
    httpStatus: attempt?.httpStatus ?? null,
  };
}

/** The same as the fields of a URL or a form. */
export function groupFields({ phase, errorCode, httpStatus }: GroupChoice): Record<string, string> {
  return {
    phase,
    ...(httpStatus === null ? {} : { status: String(httpStatus) }),
    ...(errorCode === null ? {} : { code: errorCode }),
  };
}

/** The page of a group's rows. `page` counts from 1. `settled`: the row that was settled just now. */
export function groupPath(
  batch: string,
  group: GroupChoice,
  { page = 1, settled }: { page?: number; settled?: number } = {},
): string {
  const query = new URLSearchParams(groupFields(group));
  if (page > 1) query.set('page', String(page));
  if (settled !== undefined) query.set('settled', String(settled));
  return `${uncertainPath(batch)}/rows?${query.toString()}`;
}

export function uncertainPath(batch: string): string {
  return `${batchPath(batch)}/uncertain`;
}

export function settlePath(id: number): string {
  return `/rows/${id}/settle`;
}
