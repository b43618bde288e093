import { parseCount } from '../units.ts';
import { usageError } from '../errors.ts';
import { excerpt } from '../text.ts';
import { nearest } from '../suggestion.ts';

/** The limits of all workers together. */
export interface Limit {
  /** '': all rows. */
  model: string;
  /** Milliseconds between two requests; `auto`: the worker finds the provider's limit. */
  intervalMs?: number | 'auto';
  /** The most unfinished tasks at the provider. */
  inFlight?: number;
}

/** `10`, `10/s`, `600/m`, `100/h` → milliseconds between two requests. `more`: what else is allowed, for the error. */
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

/** `10/s,2/s@viduq3p-1080p` or `auto`: one for all rows and one for each model. */
export function parseRates(name: string, text: string): Limit[] {
  const isAuto = (value: string): value is 'auto' => value === 'auto';
  return each(name, text, (value) => (isAuto(value) ? value : parseRate(name, value, MORE))).map(
    ({ model, value }) => {
      if (value === 'auto' && model !== '')
        throw usageError('BAD_RATE', `${name}: auto applies to all rows, and not to ${excerpt(model)} alone`);
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

/** Rates and caps as one list, with one entry for each model. */
export function joined(rates: readonly Limit[], caps: readonly Limit[]): Limit[] {
  const models = new Set([...rates, ...caps].map(({ model }) => model));
  const of = (limits: readonly Limit[], model: string): Limit | undefined =>
    limits.find((limit) => limit.model === model);
  return [...models].map((model) => ({ ...of(rates, model), ...of(caps, model), model }));
}

/** Requests a second of all rows together; undefined: no limit for all rows. */
export function perSecondOf(limits: readonly Limit[]): number | undefined {
  const intervalMs = limits.find(({ model }) => model === '')?.intervalMs;
  return typeof intervalMs === 'number' ? 1000 / intervalMs : undefined;
}

/** The first wait after a 429, in milliseconds: under a rate, the time of two requests, at most one second. */
export function throttleBaseMs(perSecond: number | undefined): number {
  return perSecond === undefined ? 1000 : Math.min(1000, Math.max(20, 2000 / perSecond));
}

/** In the same order for all workers, so that two workers which lock all limits cannot deadlock. */
export function sorted(limits: readonly Limit[]): Limit[] {
  return limits.toSorted((a, b) => (a.model < b.model ? -1 : 1));
}

/** The models that a limit may be for. */
export interface ModelNames {
  names: readonly string[];
  knows: (model: string) => boolean;
}

/** Refuses a limit for an unknown model: it would silently limit nothing. */
export function checkModels(limits: readonly Limit[], { names, knows }: ModelNames): void {
  for (const { model, intervalMs } of limits) {
    if (model === '' || knows(model)) continue;
    const name = intervalMs === undefined ? '--max-in-flight' : '--rate';
    const meant = nearest(model, names);
    throw usageError(
      'UNKNOWN_MODEL',
      `${name}: ${excerpt(model)} is not a known model`,
      `${meant === undefined ? '' : `Did you mean ${meant}? `}--profile and VIDBATCH_MODELS name others.`,
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
    throw usageError('TWICE_LIMITED', `${name}: ${excerpt(text)} has two limits for ${whose}`);
  }
  return parts;
}
