import { compare, ZERO } from '../../core/money/amount.ts';
import type { Money } from '../../core/money/money.ts';
import { settle } from './charge.ts';
import type { Charge, Settled } from './charge.ts';
import type { KindName } from './kind.ts';

export type End = 'completed' | 'failed';

/** What the ledger knows of a task, or of the attempt that a line's request id names. */
export interface Known {
  /** Of the batch that was asked about; of any, when none was. */
  asked: boolean;
  state: string;
  /** The attempt's; null: nothing was heard of it. */
  outcome: string | null;
  taskId: string | null;
  surplus: boolean;
  model: string | null;
  /** Seconds; null where the request leaves it to the provider. */
  duration: number | null;
  /** As polling stored it. */
  status: string | null;
  /** When it was claimed: milliseconds since the epoch. */
  at: number;
}

/** One line of a file, as far as it could be read. */
export interface Line {
  file: string;
  /** It stands in a list of tasks, and not in a bill alone. */
  listed: boolean;
  model: string | null;
  duration: number | null;
  end: End | null;
  createdAt: number | null;
  client: string | null;
  charge: Charge | null;
  /** Why it cannot be read. */
  fault: string | null;
}

/** A task id, or a request id without one, with all that is known of it. */
export interface Subject {
  known: Known | null;
  /** A journal knows it, and its row is not in this ledger. */
  orphaned: boolean;
  /** It may be an uncertain row's. */
  candidate: boolean;
  lines: readonly Line[];
  /** Charges from files of earlier days. */
  earlier: readonly Charge[];
}

/** From when until when, in milliseconds since the epoch. */
export interface Span {
  from: number;
  to: number;
}

/** What the files are, and what the ledger is. */
export interface Context {
  /** Times that the task lists cover, and the bills; none: there is no such file. */
  lists: readonly Span[];
  bills: readonly Span[];
  /** Since when the ledger has been sending. */
  since: number;
  /** Clients (tokens, users) whose tasks the ledger knows; empty: the files name none. */
  clients: ReadonlySet<string>;
  /** What a task costs; undefined: unknown. */
  price: (model: string, duration: number | null) => Money | undefined;
}

/** What is to be said of it: `matched` alone, or one kind or more of what is not. Pure. */
export function judge(subject: Subject, context: Context): KindName[] {
  const { known, lines } = subject;
  const kinds = new Set<KindName>();
  if (lines.some(({ fault }) => fault !== null)) kinds.add('unreadable');
  if (known === null) kinds.add(unknown(subject, context));
  else if (!known.asked) return [lines.some(({ fault }) => fault !== null) ? 'unreadable' : 'other-batch'];
  else if (known.taskId === null) kinds.add(withoutTask(known, subject));
  else for (const kind of ofTask(known, subject, context)) kinds.add(kind);
  return kinds.size === 0 ? ['matched'] : [...kinds];
}

const NOT_THE_PRICE: ReadonlySet<KindName> = new Set(['amount-differs', 'currency-differs', 'charged-twice']);

/** What a task should have cost, where that was found to differ; null: it was not, or the price is unknown. Pure. */
export function expectedOf(kinds: readonly KindName[], { known }: Subject, { price }: Context): Money | null {
  const model = known?.model ?? null;
  if (model === null || !kinds.some((kind) => NOT_THE_PRICE.has(kind))) return null;
  return price(model, known?.duration ?? null) ?? null;
}

function unknown({ orphaned, candidate, lines }: Subject, { clients, since }: Context): KindName {
  if (orphaned) return 'orphaned';
  if (candidate) return 'candidate';
  const named = lines.flatMap(({ client }) => client ?? []);
  if (clients.size > 0 && named.length > 0 && !named.some((client) => clients.has(client))) return 'foreign';
  const created = lines.flatMap(({ createdAt, charge }) => createdAt ?? charge?.billedAt ?? []);
  return created.length > 0 && Math.max(...created) < since ? 'foreign' : 'only-provider';
}

/** A line names the request of an attempt that brought no task id. */
function withoutTask({ outcome, state }: Known, { lines }: Subject): KindName {
  if (outcome === null || outcome === 'uncertain') {
    return lines.some(({ charge }) => charge !== null) || state !== 'uncertain'
      ? 'charged-uncertain'
      : 'candidate';
  }
  return outcome === 'rejected' ? 'charged-rejected' : 'charged-unsent';
}

function ofTask(known: Known, subject: Subject, context: Context): KindName[] {
  const { lines, earlier } = subject;
  const kinds: KindName[] = known.surplus ? ['surplus'] : [];
  const expected = {
    listed: covers(context.lists, known.at),
    billed: covers(context.bills, known.at),
  };
  if (lines.length === 0) {
    if (!expected.listed && !expected.billed) return kinds.length > 0 ? kinds : ['not-covered'];
    if (expected.listed || endOf(known, lines) === null) return [...kinds, 'only-ledger'];
  }
  if (expected.listed && lines.length > 0 && !lines.some(({ listed }) => listed)) kinds.push('unlisted');
  if (lines.some(({ model }) => model !== null && known.model !== null && model !== known.model)) {
    kinds.push('model-differs');
  }
  if (
    lines.some(({ duration }) => duration !== null && known.duration !== null && duration !== known.duration)
  ) {
    kinds.push('duration-differs');
  }
  const ends = endsOf(known, lines);
  if (ends.size > 1) kinds.push('status-differs');
  // What a line that cannot be read would have said about money, nobody knows.
  if (lines.some(({ fault }) => fault !== null)) return kinds;
  const charges = [...lines.flatMap(({ charge }) => charge ?? []), ...earlier];
  kinds.push(
    ...money(known, ends.size > 1 ? null : endOf(known, lines), settle(charges), expected.billed, context),
  );
  return kinds;
}

function money(
  known: Known,
  end: End | null,
  settled: Settled,
  expected: boolean,
  context: Context,
): KindName[] {
  const { charges, refunds, net, charged, conflict } = settled;
  if (charged === 0 && refunds.length === 0) return end === 'completed' && expected ? ['free-completed'] : [];
  const price = known.model === null ? undefined : context.price(known.model, known.duration);
  const [first] = net;
  if (first === undefined || net.size > 1) return ['currency-differs'];
  const [currency, amount] = first;
  if (price !== undefined && price.currency !== currency && compare(amount, ZERO) !== 0)
    return ['currency-differs'];
  if (conflict) return ['amount-differs'];
  const sign = compare(amount, ZERO);
  if (sign < 0) return ['refund-too-high'];
  if (sign === 0) {
    if (end === 'completed')
      return [charged > 0 && charges.length === 0 ? 'refunded-completed' : 'free-completed'];
    return charged > 0 && charges.length === 0 && end === 'failed' ? ['refunded'] : [];
  }
  const kinds: KindName[] = end === 'failed' ? ['charged-failed'] : [];
  if (price !== undefined && compare(price.amount, amount) === 0) return kinds;
  if (charges.length > 1) return [...kinds, 'charged-twice'];
  return price === undefined || end === 'failed' ? kinds : [...kinds, 'amount-differs'];
}

/** The ends that ledger and lines name. */
function endsOf({ status }: Known, lines: readonly Line[]): Set<End> {
  const named = lines.flatMap(({ end }) => end ?? []);
  if (status === 'completed' || status === 'failed') named.push(status);
  return new Set(named);
}

function endOf(known: Known, lines: readonly Line[]): End | null {
  const [end] = endsOf(known, lines);
  return end ?? null;
}

function covers(spans: readonly Span[], at: number): boolean {
  return spans.some(({ from, to }) => from <= at && at <= to);
}
