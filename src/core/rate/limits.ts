import { parseCount } from '../config.ts';
import { usageError } from '../errors.ts';
import { excerpt } from '../excerpt.ts';
import { knownModels } from '../model.ts';
import { nearest } from '../suggestion.ts';

/** How fast, and how many at a time, requests may be sent: by all workers together. */
export interface Limit {
  /** Of rows of this model; '': of all rows. */
  model: string;
  /** Milliseconds between two requests; `auto`: as many as the provider allows, which is found out. */
  intervalMs?: number | 'auto';
  /** Tasks that the provider has accepted and not finished, at a time. */
  inFlight?: number;
}

/** `10`, `10/s`, `600/m`, `100/h` → milliseconds between two requests. `more`: what else may be said there. */
export function parseRate(name: string, text: string, more = ''): number {
  const match = /^(\d+(?:\.\d+)?)(?:\/(s|m|h))?$/.exec(text.trim());
  const per = { s: 1000, m: 60_000, h: 3_600_000 }[match?.[2] ?? 's'] ?? 1000;
  const interval = per / Number(match?.[1]);
  if (!Number.isFinite(interval) || interval <= 0) {
    throw usageError(
      'BAD_RATE',
      `${name}: ${excerpt(text)} is not a rate such as 10, 10/s, 600/m or 100/h${more}`,
    );
  }
  return interval;
}

const MORE = ', nor 2/s@viduq3p-1080p of a model, nor auto';

/** `10/s,2/s@viduq3p-1080p` or `auto`: at most one for all rows and one for each model. */
export function parseRates(name: string, text: string): Limit[] {
  const isAuto = (value: string): value is 'auto' => value === 'auto';
  return each(name, text, (value) => (isAuto(value) ? value : parseRate(name, value, MORE))).map(
    ({ model, value }) => {
      if (value === 'auto' && model !== '')
        throw usageError('BAD_RATE', `${name}: auto is for all rows, and not for ${excerpt(model)}`);
      return { model, intervalMs: value };
    },
  );
}

/** `5,2@viduq3p-1080p`: tasks at a time, of all rows and of a model. */
export function parseCaps(name: string, text: string): Limit[] {
  return each(name, text, (value) => parseCount(name, value, 1, 1_000_000)).map(({ model, value }) => ({
    model,
    inFlight: value,
  }));
}

/** What is said of the same rows in one. */
export function joined(rates: readonly Limit[], caps: readonly Limit[]): Limit[] {
  const models = new Set([...rates, ...caps].map(({ model }) => model));
  const of = (limits: readonly Limit[], model: string): Limit | undefined =>
    limits.find((limit) => limit.model === model);
  return [...models].map((model) => ({ ...of(rates, model), ...of(caps, model), model }));
}

/** Requests a second of all rows together; undefined: only single models are limited. */
export function perSecondOf(limits: readonly Limit[]): number | undefined {
  const intervalMs = limits.find(({ model }) => model === '')?.intervalMs;
  return typeof intervalMs === 'number' ? 1000 / intervalMs : undefined;
}

/** The queue holds what is sent in about so long: who waits for his model there shall not wait for a thousand others. */
const QUEUED_MS = 5_000;

/** As `--queue-depth`. */
const MOST_QUEUED = 100_000;

/** Rows in the queue at a time, of which each worker has some in hand. */
export function depthUnder(limits: readonly Limit[], depth: number, inHand: number): number {
  const perSecond = perSecondOf(limits);
  return perSecond === undefined
    ? depth
    : Math.min(depth, inHand + Math.ceil((perSecond * QUEUED_MS) / 1000));
}

/** Of each limited model, rows in the queue at a time. */
export function roomOf({ intervalMs, inFlight = Infinity }: Limit): number {
  const soon = typeof intervalMs === 'number' ? 2 + Math.ceil((2 * QUEUED_MS) / intervalMs) : Infinity;
  return Math.min(soon, 2 + 2 * inFlight, MOST_QUEUED);
}

/** After a 429 under a rate, in milliseconds: as long as two requests take, and never longer than without a rate. */
export function throttleBaseMs(perSecond: number | undefined): number {
  return perSecond === undefined ? 1000 : Math.min(1000, Math.max(20, 2000 / perSecond));
}

/** In one order for all workers: who locks them all never waits for who has locked some. */
export function sorted(limits: readonly Limit[]): Limit[] {
  return limits.toSorted((a, b) => (a.model < b.model ? -1 : 1));
}

/** A limit for a model that no row has would limit nothing, and nobody would know. */
export function checkModels(limits: readonly Limit[], models: readonly string[]): void {
  const all = [...knownModels, ...models];
  for (const { model, intervalMs } of limits) {
    if (model === '' || all.includes(model)) continue;
    const name = intervalMs === undefined ? '--max-in-flight' : '--rate';
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
