/** The state of the search for an undocumented quota. Moments are milliseconds since the epoch, by the ledger's clock. */
export interface QuotaState {
  /** The current limit, in requests a second. */
  perSecond: number;
  /** The rate at which the provider last refused; undefined: it never has. */
  ceiling?: number | undefined;
  /** The time of the last cut. Refusals of earlier claims do not cut again. */
  cutAt: number;
  /** Refusals in quick succession. */
  streak: number;
  /** How long the last refusal stopped all workers. */
  stoppedMs: number;
  /** The usual time from a claim to its answer. */
  lagMs: number;
  /** The time of this state, and the requests sent and refused until then. */
  at: number;
  sent: number;
  refused: number;
  /** The same at some moments of the last seconds, to measure what the provider accepted. */
  marks: Pick<QuotaState, 'at' | 'sent' | 'refused'>[];
  /** The refused share of about the last hundred requests. */
  share: number;
}

/** The events since the last state. */
export interface Observed {
  at: number;
  /** Requests sent so far. */
  sent: number;
  /** How long the last answer took. */
  lagMs?: number | undefined;
  /** A request was refused. `isNew`: it was claimed since the last cut. `stopMs`: how long all workers wait. */
  refusal?: { isNew: boolean; stopMs: number } | undefined;
}

/** Requests a second. */
const START = 2;
const LEAST = 0.05;
const MOST = 1000;

/** The factor after a refusal, and after those that follow within `SOON_MS`. */
const CUTS = [0.965, 0.84, 0.58, 0.5];
const SOON_MS = 800;
/** After a cut, hold the rate for 8 calls, at least 2 s, and 6 times the pause that the refusal caused. */
const HOLD = { calls: 8, ms: 2_000, stops: 6 };
/** Above this share of refusals, the rate holds longer. */
const SHARE = 0.06;
/** The weight of the share so far, after one more request. */
const REMEMBERED = 0.99;
/** A cut keeps at least this part of the rate that was just accepted. */
const FLOOR = 0.94;
const MEASURED_MS = 1_000;
const MOST_MARKS = 20;
/**
 * The growth in a second. `below` the ceiling: this part of the distance to it. At the ceiling: `least`. `beyond` it: this
 * multiple of the distance, so the rate leaves an outdated ceiling ever faster. `quick` applies to quick answers.
 */
const CLIMB = { below: 0.85, least: 0.025, beyond: { slow: 1, quick: 2, lagMs: 250 } };
/** Without a ceiling the rate at most doubles in a second, and more slowly when answers are slow. */
const DOUBLING = { most: 1, lags: 550 };

export function unknownQuota(at: number, sent = 0): QuotaState {
  return {
    perSecond: START,
    cutAt: at,
    streak: 0,
    stoppedMs: 0,
    lagMs: 500,
    at,
    sent,
    refused: 0,
    marks: [],
    share: 0,
  };
}

/**
 * The next state. A refusal lowers the rate, and a repeated refusal lowers it more. Then the rate holds, climbs to the
 * ceiling, and slowly passes it. An unused rate is not raised.
 */
export function steer(known: QuotaState, seen: Observed): QuotaState {
  const lagMs = seen.lagMs === undefined ? known.lagMs : known.lagMs + 0.2 * (seen.lagMs - known.lagMs);
  const calls = Math.max(0, seen.sent - known.sent);
  const now = {
    ...known,
    lagMs,
    at: seen.at,
    sent: seen.sent,
    refused: known.refused + (seen.refusal === undefined ? 0 : 1),
    share: known.share * REMEMBERED ** calls + (seen.refusal === undefined ? 0 : 1 - REMEMBERED),
  };
  if (seen.refusal === undefined) return raised(now, known);
  return seen.refusal.isNew ? cut(now, seen.refusal.stopMs) : now;
}

function cut(known: QuotaState, stopMs: number): QuotaState {
  const { perSecond, at } = known;
  const soon = at - known.cutAt < SOON_MS + known.stoppedMs + 2 * known.lagMs;
  const streak = soon ? known.streak + 1 : 1;
  const part = CUTS[Math.min(streak, CUTS.length) - 1] ?? 1;
  const floor = FLOOR * (accepted(known) ?? 0);
  return {
    ...known,
    perSecond: bounded(Math.min(perSecond * (CUTS[0] ?? 1), Math.max(perSecond * part, floor))),
    ceiling: perSecond,
    cutAt: at,
    streak,
    stoppedMs: stopMs,
  };
}

/** Accepted requests a second, over the last one or two seconds; undefined: not known yet. */
function accepted({ at, sent, refused, marks }: QuotaState): number | undefined {
  const since = marks.findLast((mark) => mark.at <= at - MEASURED_MS) ?? marks[0];
  if (since === undefined || at - since.at < MEASURED_MS) return undefined;
  return (1000 * (sent - refused - since.sent + since.refused)) / (at - since.at);
}

function raised(now: QuotaState, before: QuotaState): QuotaState {
  const known = marked(now);
  const { perSecond, ceiling, cutAt, stoppedMs, lagMs, at, sent } = known;
  const seconds = Math.min(1, (at - before.at) / 1000);
  // The clock was set back, or another worker has a newer state.
  if (seconds <= 0) return at < before.at - 1000 ? { ...known, cutAt: Math.min(cutAt, at) } : before;
  // Too soon to tell whether the rate is used.
  if (perSecond * (at - before.at) < 1000) return before;
  if (sent - before.sent < 0.4 * perSecond * seconds) return known;
  const holdCalls = HOLD.calls * Math.max(1, known.share / SHARE);
  const holdMs = Math.max(HOLD.ms, HOLD.stops * stoppedMs, (holdCalls / perSecond) * 1000);
  const near = ceiling !== undefined && perSecond > 0.9 * ceiling && perSecond <= ceiling;
  if (near && at - cutAt < stoppedMs + lagMs + holdMs) return known;
  return { ...known, perSecond: bounded(perSecond * (1 + climb(perSecond, ceiling, lagMs) * seconds)) };
}

function marked(known: QuotaState): QuotaState {
  const { at, sent, refused } = known;
  const marks = known.marks.filter((mark) => mark.at <= at && mark.at > at - 2 * MEASURED_MS);
  return { ...known, marks: [...marks, { at, sent, refused }].slice(-MOST_MARKS) };
}

function climb(perSecond: number, ceiling: number | undefined, lagMs: number): number {
  // The slower the answers, the later a refusal would be noticed.
  const most = Math.min(DOUBLING.most, DOUBLING.lags / lagMs);
  if (ceiling === undefined) return most;
  const beyond = perSecond / ceiling - 1;
  const { slow, quick } = CLIMB.beyond;
  const leave = slow + (quick - slow) * Math.min(1, CLIMB.beyond.lagMs / lagMs);
  const wish = beyond < 0 ? -CLIMB.below * beyond : leave * beyond;
  return Math.min(most, Math.max(CLIMB.least, wish));
}

function bounded(perSecond: number): number {
  return Math.min(MOST, Math.max(LEAST, perSecond));
}
