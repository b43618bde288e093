import { parseHttpDate, parseRetryAfter } from '../core/retry-policy.ts';
import { headerOf, type Answer } from './answer.ts';
import { firstAt } from './profile/path.ts';
import type { Profile } from './profile/schema.ts';

type Told = Profile['answers']['waits'][number];
type Wait = (asked: Asked) => number | undefined;

interface Asked {
  answer: Answer;
  /** The JSON of its body. */
  value: unknown;
  /** Milliseconds since the epoch, by this machine. */
  now: number;
  /** The request was refused because of a limit. */
  throttled: boolean;
}

/** Reads how long an answer asks to wait, in the ways that a profile names. */
export class Waits {
  readonly #waits: readonly Wait[];

  constructor(told: readonly Told[]) {
    this.#waits = told.map(waitOf);
  }

  /** In milliseconds, at most one hour; undefined: it asks for no wait. */
  read(asked: Asked): number | undefined {
    for (const wait of this.#waits) {
      const ms = wait(asked);
      if (ms !== undefined) return ms;
    }
    return undefined;
  }
}

function waitOf(told: Told): Wait {
  if ('text' in told) return inText(told.text);
  if ('at' in told) {
    const read = told.as === 'ms' ? parseMs : parseRetryAfter;
    return ({ value, now }) =>
      firstAt(value, told.at, (one) =>
        typeof one === 'number' || typeof one === 'string' ? read(String(one), { now }) : undefined,
      );
  }
  const name = told.header.toLowerCase();
  switch (told.as) {
    case 'ms':
      return ({ answer }) => parseMs(headerOf(answer, name) ?? '');
    case 'retry-after':
      // A date is compared with the `Date` of the answer, which comes from the same clock.
      return ({ answer, now }) => {
        const value = headerOf(answer, name);
        const theirs = parseHttpDate(headerOf(answer, 'date') ?? '');
        return value === undefined
          ? undefined
          : parseRetryAfter(value, { now: Number.isNaN(theirs) ? now : theirs });
      };
    case 'reset':
    case 'ratelimit':
      return ofLimit(name, told.as, told.whenZero?.toLowerCase());
  }
}

/** Many answers tell about their limits. It only counts under a refusal for one, and if that one is reached. */
function ofLimit(name: string, as: 'reset' | 'ratelimit', whenZero: string | undefined): Wait {
  return ({ answer, now, throttled }) => {
    const value = answer.headers[name];
    const left = whenZero === undefined ? '' : (headerOf(answer, whenZero)?.trim() ?? '');
    if (!throttled || value === undefined || Number(left) > 0) return undefined;
    return as === 'reset'
      ? parseReset(headerOf(answer, name) ?? '', now)
      : parseRateLimit([value].flat().join(','));
  };
}

/** The seconds stand at `{}`. */
function inText(pattern: string): Wait {
  const [before = '', after = ''] = pattern
    .split('{}')
    .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`));
  const seconds = new RegExp(String.raw`${before}(\d{1,9}(?:\.\d{1,9})?)${after}`, 'i');
  return ({ answer }) => {
    const found = seconds.exec(answer.body.slice(0, LONGEST_TEXT))?.[1];
    return found === undefined ? undefined : bounded(Number(found) * 1000);
  };
}

const LONGEST_TEXT = 65_536;

function parseMs(value: string): number | undefined {
  return /^\d+(\.\d+)?$/.test(value.trim()) ? bounded(Number(value)) : undefined;
}

/** The longest of the limits that are reached, in `"burst";r=0;t=2, "day";r=12;t=3600`. */
function parseRateLimit(value: string): number | undefined {
  const waits = value.split(',').flatMap((limit) => {
    const left = /;\s*r=(\d{1,15})/.exec(limit)?.[1];
    const seconds = /;\s*t=(\d{1,15})/.exec(limit)?.[1];
    return Number(left) === 0 && seconds !== undefined ? [Number(seconds) * 1000] : [];
  });
  return waits.length === 0 ? undefined : bounded(Math.max(...waits));
}

/** Larger numbers are seconds since the epoch; above 1000 times this, milliseconds. */
const MOMENT = 1_000_000_000;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Milliseconds until a limit ends. The header may hold seconds (`4`, `4.5`), a duration (`4s`, `1m30s`, `120ms`), a
 * Unix time, or a date.
 */
function parseReset(value: string, now: number): number | undefined {
  const text = value.trim();
  if (/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) {
    const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)];
    return bounded(
      parts.reduce((sum, [, number, unit = 's']) => sum + Number(number) * (UNITS[unit] ?? 0), 0),
    );
  }
  const number = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (number >= MOMENT * 1000) return bounded(number - now);
  if (number >= MOMENT) return bounded(number * 1000 - now);
  return (
    parseRetryAfter(text, { now }) ?? bounded(Date.parse(/^\d{4}-\d\d-\d\dT/.test(text) ? text : '') - now)
  );
}

const LONGEST_MS = 3_600_000;

function bounded(ms: number): number | undefined {
  return Number.isNaN(ms) ? undefined : Math.min(LONGEST_MS, Math.max(0, Math.ceil(ms)));
}
