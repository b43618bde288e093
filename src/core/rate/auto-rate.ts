/** What is known of a quota that nobody has told us. Moments are milliseconds since the epoch, by the ledger's clock. */
export interface Known {
  /** Requests a second that are let go now. */
  perSecond: number;
  /** At which the provider last refused; undefined: it never has. */
  ceiling?: number | undefined;
  /** When it last refused. Answers to what was claimed before say nothing new. */
  cutAt: number;
  /** Refusals one soon after the other. */
  streak: number;
  /** For how long nobody was to send after the last one. */
  stoppedMs: number;
  /** From a claim to its answer, about. */
  lagMs: number;
  /** When all this was last reckoned, how many requests had been let go by then, and how many of them refused. */
  at: number;
  sent: number;
  refused: number;
  /** The same at some moments of the last seconds: what was accepted in between was allowed. */
  marks: Pick<Known, 'at' | 'sent' | 'refused'>[];
  /** Of the last hundred requests or so, the share that was refused. */
  share: number;
}

/** What has happened until now. */
export interface Seen {
  at: number;
  /** Requests let go so far. */
  sent: number;
  /** How long answers take, if one has come. */
  lagMs?: number | undefined;
  /** One was refused: whether it was claimed since the last cut, and for how long nobody sends. */
  refusal?: { isNew: boolean; stopMs: number } | undefined;
}

/** Requests a second. */
const START = 2;
const LEAST = 0.05;
const MOST = 1000;

/** What is left of the rate after a refusal, and after the next ones that follow soon. */
const CUTS = [0.965, 0.84, 0.58, 0.5];
const SOON_MS = 800;
/**
 * After a cut so many calls are made before it is tried to make more, at least for so long, and for so many times as long
 * as the refusal kept everybody from sending: that is what trying costs.
 */
const HOLD = { calls: 8, ms: 2_000, stops: 6 };
/** Where more than this share is refused, it is tried the less often. */
const SHARE = 0.06;
/** The share is one of the last hundred requests, the older ones weighing less. */
const REMEMBERED = 0.99;
/** Of what was just accepted. */
const FLOOR = 0.94;
const MEASURED_MS = 1_000;
const MOST_MARKS = 20;
/**
 * A second, as a part of the rate: of what is missing to the ceiling; at the ceiling; and beyond it, of the distance, so
 * that a ceiling that is gone is left behind ever faster: the faster, the sooner a refusal would be heard.
 */
const CLIMB = { below: 0.85, least: 0.025, beyond: { slow: 1, quick: 2, lagMs: 250 } };
/** The rate doubles in a second at the most, and in about twice as long as an answer takes. */
const DOUBLING = { most: 1, lags: 550 };

export function unknownQuota(at: number, sent = 0): Known {
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
 * The next rate, from what is known and what was seen since. Refused, it goes down a little, and by more where that did
 * not help; then it waits, climbs to where it was refused, carefully beyond, and doubles where nobody refuses. What is
 * not used says nothing of what would be allowed, and raises nothing.
 */
export function steer(known: Known, seen: Seen): Known {
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

function cut(known: Known, stopMs: number): Known {
  const { perSecond, at } = known;
  const soon = at - known.cutAt < SOON_MS + known.stoppedMs + 2 * known.lagMs;
  const streak = soon ? known.streak + 1 : 1;
  const part = CUTS[Math.min(streak, CUTS.length) - 1] ?? 1;
  // What was accepted just now is allowed: less than that helps nobody.
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

/** Requests that were accepted a second, over the last one or two; undefined: not yet known. */
function accepted({ at, sent, refused, marks }: Known): number | undefined {
  const since = marks.findLast((mark) => mark.at <= at - MEASURED_MS) ?? marks[0];
  if (since === undefined || at - since.at < MEASURED_MS) return undefined;
  return (1000 * (sent - refused - since.sent + since.refused)) / (at - since.at);
}

function raised(now: Known, before: Known): Known {
  const known = marked(now);
  const { perSecond, ceiling, cutAt, stoppedMs, lagMs, at, sent } = known;
  const seconds = Math.min(1, (at - before.at) / 1000);
  // The clock was set back, or another worker was faster.
  if (seconds <= 0) return at < before.at - 1000 ? { ...known, cutAt: Math.min(cutAt, at) } : before;
  // Too soon to tell whether what may be used is.
  if (perSecond * (at - before.at) < 1000) return before;
  if (sent - before.sent < 0.4 * perSecond * seconds) return known;
  const holdCalls = HOLD.calls * Math.max(1, known.share / SHARE);
  const holdMs = Math.max(HOLD.ms, HOLD.stops * stoppedMs, (holdCalls / perSecond) * 1000);
  const near = ceiling !== undefined && perSecond > 0.9 * ceiling && perSecond <= ceiling;
  if (near && at - cutAt < stoppedMs + lagMs + holdMs) return known;
  return { ...known, perSecond: bounded(perSecond * (1 + climb(perSecond, ceiling, lagMs) * seconds)) };
}

function marked(known: Known): Known {
  const { at, sent, refused } = known;
  const marks = known.marks.filter((mark) => mark.at <= at && mark.at > at - 2 * MEASURED_MS);
  return { ...known, marks: [...marks, { at, sent, refused }].slice(-MOST_MARKS) };
}

function climb(perSecond: number, ceiling: number | undefined, lagMs: number): number {
  // Until answers have come, it is not known whether this is too much already.
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
