import { usageError } from '../errors.ts';
import { excerpt } from '../text.ts';
import { WINDOW_MS } from '../states.ts';
import {
  DAY_MS,
  findZone,
  joined,
  nearestZone,
  instantsOf,
  stretches,
  wallClock,
  type Span,
} from './zone.ts';

/** Milliseconds after midnight; a close after 24:00 is on the next day. */
interface Hours {
  opens: number;
  closes: number;
}

interface Rule {
  /** Weekdays on which it opens, 0 is Monday; undefined: every day. */
  days: ReadonlySet<number> | undefined;
  hours: readonly Hours[];
  zone: string;
  /** Dates on which it does not open. */
  except: ReadonlySet<string>;
}

/** Hours in which rows may be sent. */
export interface Window {
  /** The normal form, which is stored and shown. */
  text: string;
  rules: readonly Rule[];
}

/** How far ahead openings are computed. */
export const AHEAD_MS = 90 * DAY_MS;

const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
const SHAPE =
  'a window is [days] HH:MM-HH:MM[,…] Zone [except dates], such as "23:00-07:00 Asia/Shanghai" or "Sat,Sun 00:00-24:00 UTC except 2026-12-26"; several are joined by ";"';

/**
 * `[days] HH:MM-HH:MM[,HH:MM-HH:MM…] Zone [except YYYY-MM-DD[,…]]`, several joined by `;`. The window opens on the days, such
 * as `Mon-Fri` or `Sat,Sun`. Times may have seconds; a close at or before the opening is on the next day. `name`: the flag.
 * @throws VidbatchError exit 2.
 */
export function parseWindow(name: string, text: string): Window {
  const rules = text
    .split(';')
    .filter((part, n, all) => part.trim() !== '' || all.length === 1 || n < all.length - 1)
    .map((part) => parseRule(name, part));
  return { text: rules.map(({ text: one }) => one).join('; '), rules };
}

function parseRule(name: string, part: string): Rule & { text: string } {
  const wrong = (what: string): Error => usageError('BAD_WINDOW', `${name}: ${what}; ${SHAPE}`);
  const words = part
    .trim()
    .replaceAll(/\s*,\s*/g, ',')
    .split(/\s+/);
  const days = /^[a-z]/i.test(words[0] ?? '') && words.length > 1 ? words.shift() : undefined;
  const [times = '', zoneName, exceptWord, dates, ...more] = words;
  if (times === '' || zoneName === undefined)
    throw wrong(`${excerpt(part.trim())} ${times === '' ? 'is empty' : 'has no zone'}`);
  const dayNumbers = days === undefined ? undefined : parseDays(days, wrong);
  const hours = times.split(',').map((one) => parseHours(one, wrong));
  const zone = findZone(zoneName);
  if (zone === undefined) {
    const meant = nearestZone(zoneName);
    throw wrong(
      `${excerpt(zoneName)} is not a zone of the tz database${meant === undefined ? '' : `; did you mean ${meant}?`}`,
    );
  }
  if (exceptWord !== undefined && (exceptWord.toLowerCase() !== 'except' || dates === undefined))
    throw wrong(`${excerpt(exceptWord)} after the zone is not "except" and dates`);
  if (more.length > 0) throw wrong(`unexpected ${excerpt(more.join(' '))}`);
  const except = (dates ?? '').split(',').filter(Boolean);
  for (const date of except)
    if (!isDate(date)) throw wrong(`${excerpt(date)} is not a date such as 2026-12-25`);
  return {
    text: [
      ...(dayNumbers === undefined ? [] : [daysOf(dayNumbers)]),
      hours
        .map(({ opens, closes }) => `${timeOf(opens)}-${timeOf(closes > DAY_MS ? closes - DAY_MS : closes)}`)
        .join(','),
      zone,
      ...(except.length === 0 ? [] : ['except', except.join(',')]),
    ].join(' '),
    days: dayNumbers,
    hours,
    zone,
    except: new Set(except),
  };
}

function parseDays(text: string, wrong: (what: string) => Error): Set<number> {
  const dayOf = (word: string): number => {
    const day = DAYS.findIndex((one) => one.toLowerCase() === word.toLowerCase());
    if (day < 0) throw wrong(`${excerpt(word)} is not one of ${DAYS.join(', ')}`);
    return day;
  };
  const days = new Set<number>();
  for (const part of text.split(',')) {
    const [first = '', last = first, ...more] = part.split('-');
    if (more.length > 0) throw wrong(`${excerpt(part)} is not days such as Mon-Fri`);
    const end = dayOf(last);
    for (let day = dayOf(first); ; day = (day + 1) % 7) {
      days.add(day);
      if (day === end) break;
    }
  }
  return days;
}

/** `Mon-Fri,Sun` */
function daysOf(days: ReadonlySet<number>): string {
  const parts: string[] = [];
  for (let day = 0; day < DAYS.length; day += 1) {
    if (!days.has(day)) continue;
    const first = day;
    while (days.has(day + 1)) day += 1;
    parts.push(first === day ? `${DAYS[day]}` : `${DAYS[first]}-${DAYS[day]}`);
  }
  return parts.join(',');
}

function parseHours(text: string, wrong: (what: string) => Error): Hours {
  const match = /^(\d\d):(\d\d)(?::(\d\d))?-(\d\d):(\d\d)(?::(\d\d))?$/.exec(text);
  if (match === null) throw wrong(`${excerpt(text)} is not two times such as 23:00-07:00`);
  const opens = timeFrom(match.slice(1, 4));
  const closes = timeFrom(match.slice(4, 7));
  if (opens === undefined || opens === DAY_MS || closes === undefined) {
    throw wrong(`${excerpt(text)} has a time that is not from 00:00 to 23:59:59 (or 24:00, to close)`);
  }
  if (opens === closes) throw wrong(`${excerpt(text)} is never open; the whole day is 00:00-24:00`);
  return { opens, closes: closes < opens ? closes + DAY_MS : closes };
}

function timeFrom([hours, minutes, seconds = '0']: readonly (string | undefined)[]): number | undefined {
  const ms = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
  return Number(minutes) < 60 && Number(seconds) < 60 && ms <= DAY_MS ? ms : undefined;
}

function timeOf(ms: number): string {
  const two = (n: number): string => String(n).padStart(2, '0');
  const seconds = (ms / 1000) % 60;
  const minutes = `${two(Math.floor(ms / 3_600_000))}:${two(Math.floor(ms / 60_000) % 60)}`;
  return seconds === 0 ? minutes : `${minutes}:${two(seconds)}`;
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return false;
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

/** The spans in which the local time is within the window: in order, without overlap. */
export function openings({ rules }: Pick<Window, 'rules'>, range: Span): Span[] {
  return joined(
    rules.flatMap((rule) => {
      const stretch = stretches(rule.zone, range);
      const spans: Span[] = [];
      const first = Math.floor(wallClock(rule.zone, range.from) / DAY_MS) - 2;
      const last = Math.floor(wallClock(rule.zone, range.to) / DAY_MS) + 1;
      for (let day = first; day <= last; day += 1) {
        if (!opensOn(rule, day)) continue;
        for (const { opens, closes } of rule.hours) {
          spans.push(...instantsOf(stretch, { from: day * DAY_MS + opens, to: day * DAY_MS + closes }));
        }
      }
      return spans;
    }),
  );
}

/**
 * When a window that the database reports as closed opens next, in milliseconds since the epoch. Undefined: not in the next
 * 90 days, or it is open by the time zone data of this machine.
 */
export function nextOpening(window: Pick<Window, 'rules'>, now: number): number | undefined {
  // A window counts as closed in its last seconds.
  const next = openings(window, { from: now, to: now + AHEAD_MS }).find(({ to }) => to > now + WINDOW_MS);
  return next !== undefined && next.from > now ? next.from : undefined;
}

/** `day`: since the epoch, which was a Thursday. */
function opensOn({ days, except }: Rule, day: number): boolean {
  const weekday = (((day + 3) % 7) + 7) % 7;
  if (days !== undefined && !days.has(weekday)) return false;
  return except.size === 0 || !except.has(new Date(day * DAY_MS).toISOString().slice(0, 10));
}
