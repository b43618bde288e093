import { randomBytes, randomInt } from 'node:crypto';
import { isPlainObject, parseJson } from '../core/json.ts';
import { json, type Answer } from './answer.ts';
import type { AcceptedCreate } from './record.ts';

/** Why a request is refused, in the words of no dialect. */
export type Reason =
  | 'throttled'
  | 'invalid'
  | 'policy'
  | 'image'
  | 'unauthorized'
  | 'forbidden'
  | 'no-balance'
  | 'too-large'
  | 'no-channel'
  | 'broken'
  | 'no-task'
  | 'no-path';

export type Json = Record<string, unknown>;

/** The body of a create as the record keeps it: as it came, with the fields that every dialect has. */
export type Validation = { valid: true; body: Json & { prompt: string } } | { valid: false; message: string };

/** What a task does now, in the words of no dialect. */
export interface TaskStatus {
  status: 'queued' | 'in_progress' | 'completed' | 'failed' | 'expired';
  /** 0-100. */
  progress: number;
  failReason?: string;
}

/** The shapes in which gateways answer a question about a task; `mixed`: another one each time. */
export const QUERY_SHAPES = ['flat', 'flat-url', 'flat-result', 'wrapped', 'mixed'] as const;
export type QueryShape = (typeof QUERY_SHAPES)[number];

/** A question about a task. */
export interface Asked {
  queryShape: QueryShape;
  /** The word that replaces the one for `in_progress`. */
  unknownStatus: string | null;
  /** From 1. */
  poll: number;
  seed: number;
  /** Of a completed task. */
  resultUrl: string;
}

/**
 * The format of one kind of provider, written from its documents a second time on purpose: with the profiles of the client,
 * the simulator would share the client's mistakes.
 */
export interface Dialect {
  name: string;
  creates: readonly string[];
  /** The path of a question; `{id}` stands for the task id. */
  task: string;
  /** The path of the video itself, for those that need the key for it. */
  content?: string;
  /** The path of the list of models, and the names that are always in it. */
  models?: { path: string; names: readonly string[] };
  /** The word before the key in `Authorization`. */
  keyPrefix: string;
  requestIdHeader: string;
  /** The faults are written in its refusals. Another dialect says them by their reason. */
  gateway?: true;
  newTaskId: () => string;
  /** `extraModels`: in addition to the documented ones, where the dialect knows them. */
  read: (bodyText: string, path: string, extraModels: readonly string[]) => Validation;
  created: (create: AcceptedCreate) => Answer;
  refuse: (reason: Reason, message?: string) => Answer;
  report: (create: AcceptedCreate, task: TaskStatus, asked: Asked) => Answer;
  /** The answer about a task that is not there. Default: the refusal `no-task`. */
  missing?: (status: 400 | 404) => Answer;
}

/** The paths of a request in a dialect. */
export function idIn(template: string | undefined, path: string): string | undefined {
  const [before = '', after = ''] = template?.split('{id}') ?? [];
  if (template === undefined || !path.startsWith(before) || !path.endsWith(after)) return undefined;
  const id = path.slice(before.length, path.length - after.length);
  return /^[^/]+$/.test(id) ? id : undefined;
}

/** Status, code and message of each refusal. */
export type Refusals = Record<Reason, readonly [status: number, code: string, message: string]>;

type Words = Record<TaskStatus['status'], string>;

export function wordOf(words: Words, status: TaskStatus['status'], { unknownStatus }: Asked): string {
  return status === 'in_progress' && unknownStatus !== null ? unknownStatus : words[status];
}

export function about(create: AcceptedCreate, value: unknown, status = 200): Answer {
  return { ...json(status, value), taskId: create.taskId };
}

/** Random, so that no restart repeats an id. */
export const randomDigits = (): string => `9${String(randomInt(1e14)).padStart(14, '0')}`;
export const randomLetters = (): string => randomBytes(18).toString('base64url');

export const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';

/** What a request says, or what is wrong in it. */
type Read = { prompt: string; duration?: unknown } | { wrong: string };

/** Reads a body: a JSON object with a model, and what `check` asks for. */
export function reading(check: (body: Json, path: string) => Read): Dialect['read'] {
  return (bodyText, path) => {
    const body = parseJson(bodyText)?.value;
    if (!isPlainObject(body)) return { valid: false, message: 'the body is not a JSON object' };
    if (!isText(body['model'])) return { valid: false, message: 'model is missing' };
    const read = check(body, path);
    if ('wrong' in read) return { valid: false, message: read.wrong };
    return { valid: true, body: { ...body, ...read } };
  };
}

/** The first member that the format does not have. */
export function unknownIn(body: Json, known: readonly string[]): string | undefined {
  const name = Object.keys(body).find((key) => !known.includes(key));
  return name === undefined ? undefined : `unknown field ${name}`;
}

export const isSeconds = (value: unknown, from: number, to: number): boolean =>
  value === undefined || (Number.isInteger(value) && Number(value) >= from && Number(value) <= to);

/** The items of a `content` list: one text, and images with a role. */
export function readContent(body: Json): { prompt: string } | { wrong: string } {
  const { content } = body;
  if (!Array.isArray(content)) return { wrong: 'content is missing' };
  const items = content.filter(isPlainObject);
  const texts = items.filter(({ type }) => type === 'text').map((item) => item['text']);
  if (texts.length !== 1 || !isText(texts[0])) return { wrong: 'content needs one text' };
  const images = items.filter(({ type }) => type === 'image_url');
  if (images.length + 1 !== content.length) return { wrong: 'content has an item of an unknown type' };
  const roles = images.map(({ role }) => role);
  if (!images.every(({ image_url: image }) => isPlainObject(image) && isText(image['url'])))
    return { wrong: 'an image has no image_url.url' };
  if (!roles.every((role) => ROLES.has(String(role)))) return { wrong: 'an image has an unknown role' };
  if (roles.includes('last_frame') && !roles.includes('first_frame'))
    return { wrong: 'last_frame needs first_frame' };
  if (roles.includes('first_frame') && roles.includes('reference_image'))
    return { wrong: 'first_frame and reference_image cannot be combined' };
  return { prompt: texts[0] };
}

const ROLES = new Set(['first_frame', 'last_frame', 'reference_image']);
