import { defined, isPlainObject, parseJson } from '../core/json.ts';
import { FORWARDED } from './outcome-table.ts';

/** The codes and the message of an answer. */
export interface Refusal {
  /** Codes, the outermost wrapper first; in each layer the most specific code first. */
  layers: string[][];
  /** The innermost message. */
  message?: string;
  /** The body, and what a wrapper contains, are JSON objects. */
  readable: boolean;
}

type Json = Record<string, unknown>;

/** A JSON object, or undefined. A whole number that a double would change becomes a bigint. */
export function parseObject(text: string): Json | undefined {
  return asObject(parseJson(text, LONG_NUMBER.test(text) ? exact : undefined)?.value);
}

const LONG_NUMBER = /\d{16}/;

function exact(_key: string, value: unknown, { source = '' }: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return /^-?\d{16,512}$/.test(source) ? BigInt(source) : value;
}

export function asObject(value: unknown): Json | undefined {
  return isPlainObject(value) ? value : undefined;
}

/** Gateways may wrap gateways; four layers have not been seen. */
const DEEPEST = 4;

/** Reads every body shape: `{code,message}`, `{error:{message,type,code}}`, wrapped JSON, HTML, text, nothing. */
export function readRefusal(body: string): Refusal {
  const layers: string[][] = [];
  let message: string | undefined;
  let text = body;
  let object = parseObject(body);
  while (object !== undefined && layers.length < DEEPEST) {
    const codes = codesOf(object);
    layers.push(codes);
    message = messageOf(object) ?? message;
    if (!codes.includes(FORWARDED)) return defined({ layers, message, readable: true });
    const wrapped = object['message'] ?? asObject(object['error'])?.['message'];
    text = typeof wrapped === 'string' ? wrapped : '';
    object = asObject(wrapped) ?? parseEmbedded(text);
  }
  return defined({ layers, message: message ?? plainMessage(text), readable: false });
}

/** Codes that mean success. */
const WELL = /^(|0+|2\d\d|ok|success|succeeded|successful|created|accepted|none|null|false)$/i;

/** Whether an answer reports an error, or a code that does not mean success. */
export function carriesError(object: Json): boolean {
  const { error } = object;
  if (isError(error) || object['success'] === false) return true;
  return ['code', 'error_code', 'err_code'].some((key) => isError(object[key]));
}

function isError(value: unknown): boolean {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint')
    return !WELL.test(String(value).trim());
  if (typeof value !== 'object' || value === null) return value === true;
  return Object.values(value).some((part) => (typeof part === 'object' ? part !== null : isError(part)));
}

/** Some gateways put words around the vendor's JSON, as in `status_code: 400, body: {…}`, or encode it twice. */
function parseEmbedded(text: string): Json | undefined {
  const parsed = parseJson(text);
  if (parsed === undefined) return parseObject(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1));
  return typeof parsed.value === 'string' ? parseObject(parsed.value) : asObject(parsed.value);
}

const CODE_KEYS = ['reason', 'err_code', 'error_code', 'code', 'type'];

function codesOf(object: Json): string[] {
  const error = asObject(object['error']);
  const values = [error, object].flatMap((part) => CODE_KEYS.map((key) => part?.[key]));
  values.push(object['error']);
  const words = values.filter((value) => typeof value === 'string' && /^[\w.:-]{1,128}$/.test(value));
  const numbers = values
    .filter((value) => typeof value === 'number' || typeof value === 'bigint')
    .map(String);
  return [...new Set([...(words as string[]), ...numbers])];
}

function messageOf(object: Json): string | undefined {
  const error = asObject(object['error']);
  const candidates = [
    object['message'],
    error?.['message'],
    object['msg'],
    object['error_description'],
    object['detail'],
    object['error'],
  ];
  return candidates.find((value): value is string => typeof value === 'string' && value.trim() !== '');
}

/** The title of a page, or plain words. */
function plainMessage(text: string): string | undefined {
  const trimmed = text.slice(0, 65_536).trim();
  if (!trimmed.startsWith('<')) return trimmed === '' ? undefined : trimmed;
  return /<title[^>]*>([^<]+)/i.exec(trimmed)?.[1] ?? 'a page instead of JSON';
}

const LETTERS = 'task[_-]';
/** The prefix of task ids. */
const LETTERED = new RegExp(`^${LETTERS}`, 'i');

/** Ids in the answer to a create. */
interface FoundIds {
  /** Under a task's key, or with its prefix. */
  taskId?: string;
  /** A plain `id`: of the task, unless the answer has an error. */
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
 * A task id anywhere in the text, under a task's key or with its prefix: also deeper than `findIds` looks, in JSON within a
 * text, and in a cut-off answer. An empty id, null and 0 do not count.
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

/** The task id in several objects of one answer: none if they differ. A plain `id` may be the id of the stream. */
export function findIdsInAll(objects: readonly Readonly<Record<string, unknown>>[]): FoundIds {
  const [taskId, ...others] = new Set(objects.flatMap((object) => findIds(object).taskId ?? []));
  return taskId === undefined || others.length > 0 ? {} : { taskId };
}

/** An id as text: 1-512 printable characters, or a positive whole number. */
function readId(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value > 0 ? String(value) : undefined;
  if (typeof value === 'bigint') return value > 0n ? readId(String(value)) : undefined;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  return /^[^\p{Cc}\p{Cs}\ufffd]{1,512}$/u.test(value) ? value : undefined;
}

function isFound<T>(one: T | undefined): one is T {
  return one !== undefined;
}
