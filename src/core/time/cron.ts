import { CronExpressionParser } from 'cron-parser';
import { usageError, messageOf } from '../errors.ts';
import { excerpt } from '../text.ts';
import { DAY_MS, stretches, wallClock, type Stretch } from './zone.ts';

/** When a schedule is due: five cron fields, or six with the seconds first, in the local time of the zone. */
export interface Rhythm {
  cron: string;
  zone: string;
}

const SHAPE =
  'A cron expression has five fields (minute hour day month weekday, such as "0 23 * * *" or "30 22 * * 1-5"), or six with the seconds first.';
/** No zone sets its clocks back by more. */
const FURTHEST_BACK_MS = DAY_MS;
/** The length of the time that is searched at once. */
const PIECE_MS = 8 * DAY_MS;

/** @throws VidbatchError exit 2 for an invalid cron expression, or one that is never due. */
export function checkCron(text: string): string {
  const cron = text.trim().replaceAll(/\s+/g, ' ');
  const wrong = (why: string): Error => usageError('BAD_CRON', `--cron: ${excerpt(cron)} ${why}`, SHAPE);
  // The library fills in missing fields, and gives H a random value.
  const fields = cron.split(' ');
  if (fields.length !== 5 && fields.length !== 6) throw wrong(`has ${fields.length} fields, not five or six`);
  if (/(?<![a-z])h(?![a-z])/i.test(cron)) throw wrong('has an H, which is a random value');
  try {
    CronExpressionParser.parse(cron, { tz: 'UTC' });
  } catch (error) {
    throw wrong(`is not a cron expression: ${messageOf(error)}`);
  }
  if (matchAfter(cron, Date.UTC(2023, 0)) === undefined) throw wrong('never comes');
  return cron;
}

/** The next ticks after an instant, in order: milliseconds since the epoch. */
export function nextTicks({ cron, zone }: Rhythm, after: number, count: number): number[] {
  const found: number[] = [];
  for (const tick of ticksAfter({ cron, zone }, after)) {
    if (found.push(tick) >= count) break;
  }
  return found;
}

export function nextTick(rhythm: Rhythm, after: number): number | undefined {
  return nextTicks(rhythm, after, 1)[0];
}

/** The last tick after `after`, up to and including `until`. */
export function lastTick(rhythm: Rhythm, after: number, until: number): number | undefined {
  for (let span = 60_000; ; span *= 2) {
    let last: number | undefined;
    const from = Math.max(after, until - span);
    for (const tick of ticksAfter(rhythm, from)) {
      if (tick > until) break;
      last = tick;
    }
    if (last !== undefined || from === after) return last;
  }
}

/**
 * Ticks are local times. A tick in a skipped hour comes once, at the first moment after the gap, and a tick in a repeated
 * hour comes the first time. If the hour is `*`, a skipped tick is left out and a repeated tick comes twice.
 */
export function* ticksAfter({ cron, zone }: Rhythm, after: number): Generator<number, void, void> {
  const hourly = everyHour(cron);
  let from = after;
  for (;;) {
    const match = matchAfter(cron, wallClock(zone, from) - FURTHEST_BACK_MS);
    if (match === undefined) return;
    from = Math.max(from, match - 2 * DAY_MS);
    const to = from + PIECE_MS;
    let last: Stretch | undefined;
    for (const stretch of stretches(zone, { from: from - FURTHEST_BACK_MS, to })) {
      yield* ticksOf(stretch, { last, after: from }, cron, hourly);
      last = stretch;
    }
    from = to - 1;
  }
}

/** Ticks of one stretch; `last`: the stretch before it. */
function* ticksOf(
  { from, to, offset }: Stretch,
  { last, after }: { last: Stretch | undefined; after: number },
  cron: string,
  hourly: boolean,
): Generator<number, void, void> {
  const shownBefore = last === undefined ? -Infinity : from + last.offset;
  const begin = from + offset;
  if (!hourly && from > after && last !== undefined && shownBefore < begin) {
    const skipped = matchAfter(cron, shownBefore - 1);
    if (skipped !== undefined && skipped < begin && matchAfter(cron, begin - 1) !== begin) yield from;
  }
  const first = Math.max(begin, after + 1 + offset, hourly ? -Infinity : shownBefore);
  for (const wall of matchesAfter(cron, first - 1)) {
    if (wall >= to + offset) return;
    yield wall - offset;
  }
}

/** Local times as if they were UTC, so that the library does not handle summer time. */
function* matchesAfter(cron: string, wall: number): Generator<number, void, void> {
  const expression = CronExpressionParser.parse(cron, { tz: 'UTC', currentDate: new Date(wall) });
  for (;;) {
    let next: number;
    try {
      next = expression.next().getTime();
    } catch {
      // The library gives up after thirty years.
      return;
    }
    yield next;
  }
}

function matchAfter(cron: string, wall: number): number | undefined {
  return matchesAfter(cron, wall).next().value ?? undefined;
}

function everyHour(cron: string): boolean {
  return CronExpressionParser.parse(cron, { tz: 'UTC' }).fields.hour.values.length === 24;
}
