import { asObject } from './refusal.ts';

/** Ids in the answer to a create. */
export interface FoundIds {
  /** Said to be of a task, by its key or by its own first letters. */
  taskId?: string;
  /** An `id` of something: of the task, unless the answer carries an error. */
  id?: string;
}

/** The answer itself, then its `data`, in which some gateways wrap it. */
export function findIds(object: Readonly<Record<string, unknown>>): FoundIds {
  const wrapped = object['data'];
  const data = asObject(wrapped);
  const named = [object['task_id'], data?.['task_id']].map(readId).find(isFound);
  const ids = [object['id'], data?.['id']].map(readId).filter(isFound);
  const lettered = [...ids, readId(wrapped)].filter(isFound).find((id) => /^task[_-]/i.test(id));
  const taskId = named ?? lettered;
  const id = ids[0];
  return { ...(taskId === undefined ? {} : { taskId }), ...(id === undefined ? {} : { id }) };
}

/**
 * An id as text: a string of 1-512 printable characters (more, or a NUL, could not be stored and found again; U+FFFD
 * stands for bytes that were lost), or a positive whole number with all its digits.
 */
function readId(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value > 0 ? String(value) : undefined;
  if (typeof value === 'bigint') return value > 0n ? readId(String(value)) : undefined;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  return /^[^\p{Cc}\p{Cs}\ufffd]{1,512}$/u.test(value) ? value : undefined;
}

function isFound(id: string | undefined): id is string {
  return id !== undefined;
}
