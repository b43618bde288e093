import { usageError } from './errors.ts';
import { excerpt } from './excerpt.ts';
import { knownModels } from './model.ts';
import { nearest } from './suggestion.ts';

/** How fast, and how many at a time, requests may be sent: by all workers together. */
export interface Limit {
  /** Of rows of this model; '': of all rows. */
  model: string;
  /** Milliseconds between two requests. */
  intervalMs?: number;
}

/** `10`, `10/s`, `600/m`, `100/h` → milliseconds between two requests. */
export function parseRate(name: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(?:\/(s|m|h))?$/.exec(text.trim());
  const per = { s: 1000, m: 60_000, h: 3_600_000 }[match?.[2] ?? 's'] ?? 1000;
  const interval = per / Number(match?.[1]);
  if (!Number.isFinite(interval) || interval <= 0) {
    throw usageError(
      'BAD_RATE',
      `${name}: ${excerpt(text)} is not a rate such as 10, 10/s, 600/m, 100/h or 2/s@viduq3p-1080p`,
    );
  }
  return interval;
}

/** `10/s,2/s@viduq3p-1080p`: at most one for all rows and one for each model. */
export function parseRates(name: string, text: string): Limit[] {
  return each(name, text, (value) => parseRate(name, value)).map(({ model, value: intervalMs }) => ({
    model,
    intervalMs,
  }));
}

/** Requests a second of all rows together; undefined: only single models are limited. */
export function perSecondOf(limits: readonly Limit[]): number | undefined {
  const intervalMs = limits.find(({ model }) => model === '')?.intervalMs;
  return intervalMs === undefined ? undefined : 1000 / intervalMs;
}

/** The queue holds what is sent in about so long: who waits for his model there shall not wait for a thousand others. */
const QUEUED_MS = 5_000;

/** Rows in the queue at a time, of which each worker has some in hand. */
export function depthUnder(limits: readonly Limit[], depth: number, inHand: number): number {
  const perSecond = perSecondOf(limits);
  return perSecond === undefined
    ? depth
    : Math.min(depth, inHand + Math.ceil((perSecond * QUEUED_MS) / 1000));
}

/** Of each limited model, rows in the queue at a time. */
export function roomOf({ intervalMs = Infinity }: Limit): number {
  return 2 + Math.ceil((2 * QUEUED_MS) / intervalMs);
}

/** After a 429 under a rate: as long as a few requests take, and never longer than without one. */
export function throttleBaseMs(limits: readonly Limit[]): number {
  const intervalMs = limits.find(({ model }) => model === '')?.intervalMs;
  return intervalMs === undefined ? 1000 : Math.min(1000, Math.max(20, 2 * intervalMs));
}

/** In one order for all workers: who locks them all never waits for who has locked some. */
export function sorted(limits: readonly Limit[]): Limit[] {
  return limits.toSorted((a, b) => (a.model < b.model ? -1 : 1));
}

/** A limit for a model that no row has would limit nothing, and nobody would know. */
export function checkModels(name: string, limits: readonly Limit[], models: readonly string[]): void {
  const all = [...knownModels, ...models];
  for (const { model } of limits) {
    if (model === '' || all.includes(model)) continue;
    const meant = nearest(model, all);
    throw usageError(
      'UNKNOWN_MODEL',
      `${name}: ${excerpt(model)} is not a model that is known`,
      `Did you mean ${meant}? Others are named in VIDBATCH_MODELS.`,
    );
  }
}

/** `VALUE` or `VALUE@MODEL`, separated by commas. */
function each<T>(name: string, text: string, read: (value: string) => T): { model: string; value: T }[] {
  const parts = text.split(',').map((part) => {
    const [value = '', model = '', ...more] = part.trim().split('@');
    const whole = more.length > 0 || (part.includes('@') && model === '');
    return { model, value: read(whole ? part : value) };
  });
  for (const [n, { model }] of parts.entries()) {
    if (parts.findIndex((other) => other.model === model) === n) continue;
    const whose = model === '' ? 'all rows' : excerpt(model);
    throw usageError('TWICE_LIMITED', `${name}: there are two of ${whose} in ${excerpt(text)}`);
  }
  return parts;
}
