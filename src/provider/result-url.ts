import { asObject, textIn, type Json } from './answer-body.ts';
import { firstOf, samePlace, type Path } from './profile/path.ts';
import type { Profile } from './profile/schema.ts';
import type { TaskReport } from '../core/outcome.ts';

type Places = Pick<Profile['task'], 'result' | 'resultIn' | 'reason'>;

/**
 * The URL of a task's video: a URL in a place of its own, a URL deeper inside another place, then any text in a place of its
 * own. A place that may also hold the reason of a failure counts only for a completed task.
 */
export function resultUrlOf(task: Json, places: Places, completed: boolean): string | undefined {
  const { resultIn, reason } = places;
  const shared = (path: Path): boolean => reason.some((one) => samePlace(one, path));
  const own = places.result.filter((path) => !shared(path));
  return (
    firstOf(task, own, httpUrlIn) ??
    firstOf(task, resultIn, (value) => urlIn(value, DEEPEST)) ??
    firstOf(task, own, textIn) ??
    (completed ? firstOf(task, places.result.filter(shared), httpUrlIn) : undefined)
  );
}

const DEEPEST = 3;
const KEYS = ['video_url', 'url', 'video'];

/** The first URL in a text, a list, or an object. */
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

function isHttpUrl(value: unknown): value is string {
  return typeof value === 'string' && /^\s*https?:\/\/\S+\s*$/i.test(value);
}

function httpUrlIn(value: unknown): string | undefined {
  return isHttpUrl(value) ? value : undefined;
}

/** When the URL expires, if the answer or the URL itself says so. */
export function expiryOf(
  task: Json,
  resultUrl: string,
  places: readonly Path[],
): Extract<TaskReport, { kind: 'task' }>['urlExpiry'] {
  const stated = firstOf(task, places, readMoment);
  if (stated !== undefined) return { at: stated, by: 'answer' };
  const signed = expiryOfUrl(resultUrl);
  return signed === undefined ? undefined : { at: signed, by: 'url' };
}

/** The year 2017. Smaller numbers are durations. */
const FROM_SECONDS = 1_500_000_000;
const FROM_MS = FROM_SECONDS * 1000;
/** The year 2100. */
const UNTIL_MS = 4_102_444_800_000;

/** A time in seconds or milliseconds since the epoch, or in RFC 3339 with a zone → milliseconds since the epoch. */
function readMoment(value: unknown): number | undefined {
  if (typeof value === 'number' || (typeof value === 'string' && /^\d{9,14}$/.test(value))) {
    const number = Number(value);
    if (number >= FROM_MS) return inTime(number);
    return number >= FROM_SECONDS ? inTime(number * 1000) : undefined;
  }
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:?\d\d)$/.test(value))
    return undefined;
  return inTime(Date.parse(value));
}

function inTime(ms: number): number | undefined {
  return ms >= FROM_MS && ms < UNTIL_MS ? ms : undefined;
}

/** Beside one of these, `Expires` is the end of a signature. */
const SIGNATURES = ['signature', 'sig', 'x-oss-signature'];

/**
 * The end of a signed URL, in milliseconds since the epoch, by its parameters: a date and seconds (S3, GCS, OSS, TOS), a
 * time beside a signature (older S3, OSS, OBS, CloudFront), Azure's `se` beside `sig`, COS's `q-sign-time`.
 */
function expiryOfUrl(url: string): number | undefined {
  const parsed = URL.parse(url);
  if (parsed === null) return undefined;
  const values = new Map([...parsed.searchParams].map(([name, value]) => [name.toLowerCase(), value]));
  for (const [name, value] of values) {
    const vendor = /^(x-[a-z0-9]+)-expires$/.exec(name)?.[1];
    if (vendor === undefined || !/^\d{1,9}$/.test(value)) continue;
    const signed = readCompact(values.get(`${vendor}-date`) ?? '');
    if (signed !== undefined) return inTime(signed + Number(value) * 1000);
  }
  if (SIGNATURES.some((name) => values.has(name))) {
    return readMoment(values.get('expires')) ?? readMoment(values.get('se'));
  }
  const span = /^\d+;(\d+)$/.exec(values.get('q-sign-time') ?? '');
  return span === null ? undefined : readMoment(span[1]);
}

/** `20261125T191500Z` */
function readCompact(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1);
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}
