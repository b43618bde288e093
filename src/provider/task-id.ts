import { defined } from '../core/json.ts';
import { asObject, parseObject } from './refusal.ts';

const LETTERS = 'task[_-]';
/** The prefix of task ids. */
const LETTERED = new RegExp(`^${LETTERS}`, 'i');

/** Ids in the answer to a create. */
interface FoundIds {
  /** Under a task's key, or with its prefix. */
  taskId?: string;
  /** A plain `id`: of the task, unless the answer carries an error. */
  id?: string;
}

/** The answer itself, then its `data`, in which some gateways wrap it. */
export function findIds(object: Readonly<Record<string, unknown>>): FoundIds {
  const wrapped = object['data'];
  const data = asObject(wrapped);
  const named = [object['task_id'], data?.['task_id'], object['taskId'], data?.['taskId']]
    .map(readId)
    .find(isFound);
  const ids = [object['id'], data?.['id']].map(readId).filter(isFound);
  const lettered = [...ids, readId(wrapped)].filter(isFound).find((id) => LETTERED.test(id));
  return defined({ taskId: named ?? lettered, id: ids[0] });
}

/**
 * A task id anywhere in the text: under a task's key, or by its prefix. Also deeper than `findIds` looks, in JSON within
 * a text, and in an answer that was cut off. An empty id, null and 0 do not count.
 */
const NAMES_TASK = new RegExp(
  String.raw`"task[_-]?id\\*"\s*:\s*(?:\\*"[^"\\\s]|[1-9[{])|"(?:id|data|task)\\*"\s*:\s*\[?\s*\\*"${LETTERS}`,
  'i',
);

/** Whether an answer may be about a created task, even if its id cannot be read. */
export function namesTask(body: string): boolean {
  const object = parseObject(body);
  const objects = object === undefined ? readEvents(body) : [object];
  return NAMES_TASK.test(body) || objects.some((one) => findIds(one).taskId !== undefined);
}

/** An empty line, a comment or a field of server-sent events. */
const EVENT_LINE = /^(?:$|:|(?:data|event|id|retry)(?::|$))/;

/** The JSON objects in the `data:` lines of server-sent events, without other events such as `[DONE]`. */
export function readEvents(body: string): Record<string, unknown>[] {
  if (!body.split(LINE_END).every((line) => EVENT_LINE.test(line))) return [];
  return body.split(/(?:\r\n|\r|\n){2,}/).flatMap((event) => {
    const data = event.split(LINE_END).flatMap((line) => /^data: ?(.*)$/.exec(line)?.[1] ?? []);
    const whole = parseObject(data.join('\n'));
    // Some servers leave out the empty line between events.
    return whole === undefined ? data.map(parseObject).filter(isFound) : [whole];
  });
}

const LINE_END = /\r\n|\r|\n/;

/** The task id in several objects of one answer. Different task ids are none; a plain `id` may name the stream. */
export function findIdsInAll(objects: readonly Readonly<Record<string, unknown>>[]): FoundIds {
  const [taskId, ...others] = new Set(objects.flatMap((object) => findIds(object).taskId ?? []));
  return taskId === undefined || others.length > 0 ? {} : { taskId };
}

/** An id as text: 1-512 printable characters that can be stored and found again, or a positive whole number. */
function readId(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value > 0 ? String(value) : undefined;
  if (typeof value === 'bigint') return value > 0n ? readId(String(value)) : undefined;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  return /^[^\p{Cc}\p{Cs}\ufffd]{1,512}$/u.test(value) ? value : undefined;
}

function isFound<T>(one: T | undefined): one is T {
  return one !== undefined;
}
