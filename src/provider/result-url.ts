import { asObject } from './refusal.ts';

type Json = Readonly<Record<string, unknown>>;

/** Where a task's URL stands by contract: whatever text is there, is it. */
const OWN: readonly (readonly string[])[] = [['video_url'], ['result_url'], ['url'], ['result', 'video_url']];

/** Where other providers have it, as text, in an object or in a list. Only what is a URL counts there. */
const OTHER: readonly (readonly string[])[] = [
  ['url'],
  ['result'],
  ['metadata', 'url'],
  ['video_urls'],
  ['videos'],
  ['video'],
  ['results'],
  ['output'],
  ['content'],
  ['creations'],
  ['data', 'creations'],
  ['data', 'data', 'creations'],
  ['task_result', 'videos'],
];

/** The URL of a task's video, of all the places in which providers put it. */
export function readResultUrl(task: Json): string | undefined {
  const own = OWN.map((path) => at(task, path)).filter(isText);
  const other = OTHER.map((path) => urlIn(at(task, path), DEEPEST)).filter(isText);
  return own.find(isHttpUrl) ?? other[0] ?? own[0];
}

const DEEPEST = 3;
const KEYS = ['video_url', 'url', 'video'];

/** The first URL in a text, a list, or an object of which one key holds it. */
function urlIn(value: unknown, depth: number): string | undefined {
  if (isHttpUrl(value)) return value.trim();
  if (depth === 0) return undefined;
  const object = asObject(value);
  const parts: unknown[] = Array.isArray(value) ? value : KEYS.map((key) => object?.[key]);
  for (const part of parts) {
    const url = urlIn(part, depth - 1);
    if (url !== undefined) return url;
  }
  return undefined;
}

function at(task: Json, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => asObject(value)?.[key], task);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}

export function isHttpUrl(value: unknown): value is string {
  return typeof value === 'string' && /^\s*https?:\/\/\S+\s*$/i.test(value);
}
