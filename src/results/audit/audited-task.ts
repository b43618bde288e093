import { compare, ZERO, parseAmount, type Money } from '../../core/money/money.ts';
import { settle, type Charge, type Settled } from './charge.ts';
import type { FindingType } from './finding-type.ts';
import type { ChargeRow, LineRow, SubjectRow } from '../../ledger/audit/pairing.ts';

type End = 'completed' | 'failed';

/** What the ledger knows of a task, or of the attempt that a line's request id names. */
export interface Known {
  /** The comparison is for its batch, or for all batches. */
  asked: boolean;
  state: string;
  /** The outcome of the attempt; null: no answer was recorded. */
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
  /** It is in a list of tasks, not only in a bill. */
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

/** A task id, or a request id without a task id, with all that is known about it. */
export interface AuditedTask {
  known: Known | null;
  /** It is known only from a journal: its row is not in this ledger. */
  orphaned: boolean;
  /** It may belong to an uncertain row. */
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

/** Only `matched`, or each type of difference that was found. Pure. */
export function judge(subject: AuditedTask, context: Context): FindingType[] {
  const { known, lines } = subject;
  const kinds = new Set<FindingType>();
  if (lines.some(({ fault }) => fault !== null)) kinds.add('unreadable');
  if (known === null) kinds.add(unknown(subject, context));
  else if (!known.asked) return [lines.some(({ fault }) => fault !== null) ? 'unreadable' : 'other-batch'];
  else if (known.taskId === null) kinds.add(withoutTask(known, subject));
  else for (const kind of ofTask(known, subject, context)) kinds.add(kind);
  return kinds.size === 0 ? ['matched'] : [...kinds];
}

const NOT_THE_PRICE: ReadonlySet<FindingType> = new Set([
  'amount-differs',
  'currency-differs',
  'charged-twice',
]);

/** The price of a task whose bill differs from it; null: no difference, or the price is unknown. Pure. */
export function expectedOf(
  kinds: readonly FindingType[],
  { known }: AuditedTask,
  { price }: Context,
): Money | null {
  const model = known?.model ?? null;
  if (model === null || !kinds.some((kind) => NOT_THE_PRICE.has(kind))) return null;
  return price(model, known?.duration ?? null) ?? null;
}

function unknown({ orphaned, candidate, lines }: AuditedTask, { clients, since }: Context): FindingType {
  if (orphaned) return 'orphaned';
  if (candidate) return 'candidate';
  const named = lines.flatMap(({ client }) => client ?? []);
  if (clients.size > 0 && named.length > 0 && !named.some((client) => clients.has(client))) return 'foreign';
  const created = lines.flatMap(({ createdAt, charge }) => createdAt ?? charge?.billedAt ?? []);
  return created.length > 0 && Math.max(...created) < since ? 'foreign' : 'only-provider';
}

/** A line names the request of an attempt that has no task id. */
function withoutTask({ outcome, state }: Known, { lines }: AuditedTask): FindingType {
  if (outcome === null || outcome === 'uncertain') {
    return lines.some(({ charge }) => charge !== null) || state !== 'uncertain'
      ? 'charged-uncertain'
      : 'candidate';
  }
  return outcome === 'rejected' ? 'charged-rejected' : 'charged-unsent';
}

function ofTask(known: Known, subject: AuditedTask, context: Context): FindingType[] {
  const { lines } = subject;
  const kinds: FindingType[] = known.surplus ? ['surplus'] : [];
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
  // A line that cannot be read may have said something about money.
  if (lines.some(({ fault }) => fault !== null)) return kinds;
  const end = ends.size > 1 ? null : endOf(known, lines);
  return [...kinds, ...money(known, end, settleTask(subject), expected.billed, context)];
}

/** The entries of a task from all files, each counted once. */
export function settleTask({ lines, earlier }: Pick<AuditedTask, 'lines' | 'earlier'>): Settled {
  return settle([...lines.flatMap(({ charge }) => charge ?? []), ...earlier]);
}

function money(
  known: Known,
  end: End | null,
  settled: Settled,
  expected: boolean,
  context: Context,
): FindingType[] {
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
  const kinds: FindingType[] = end === 'failed' ? ['charged-failed'] : [];
  if (price !== undefined && compare(price.amount, amount) === 0) return kinds;
  if (charges.length > 1) return [...kinds, 'charged-twice'];
  return price === undefined || end === 'failed' ? kinds : [...kinds, 'amount-differs'];
}

/** The final statuses that the ledger and the lines give. */
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

/** The findings for one task, or for a line that names no task. */
export interface AuditFinding {
  kinds: FindingType[];
  /** Its price, if the bill differs from it. */
  expected: Money | null;
  /** Null: the line names no task. */
  subject: AuditedTask | null;
  row: SubjectRow | null;
  lines: readonly LineRow[];
}

/** What `judge` needs. `batchId`: the batch that is compared. */
export function toAuditedTask(row: SubjectRow, batchId: number | null): AuditedTask {
  return {
    known: knownOf(row, batchId),
    orphaned: row.orphaned,
    candidate: row.candidate,
    lines: row.lines.map(lineOf),
    // These charges count as one file, because the ledger has each entry once.
    earlier: row.earlier.flatMap((charge) => chargeOf(charge, '') ?? []),
  };
}

function knownOf(row: SubjectRow, batchId: number | null): Known | null {
  if (row.state === null || row.at === null) return null;
  return {
    asked: batchId === null || row.batchId === batchId,
    state: row.state,
    outcome: row.outcome,
    taskId: row.taskId,
    surplus: row.surplus === true,
    model: row.model,
    duration: row.duration,
    status: row.providerStatus,
    at: row.at.getTime(),
  };
}

function lineOf(row: LineRow): Line {
  return {
    file: row.file,
    listed: row.listed,
    model: row.model,
    duration: row.duration,
    end: endNamed(row.status),
    createdAt: timeOf(row.createdAt),
    client: row.client,
    charge: row.fault === null ? chargeOf(row, row.file) : null,
    fault: row.fault,
  };
}

function endNamed(status: string | null): End | null {
  return status === 'completed' || status === 'failed' ? status : null;
}

function chargeOf({ entry, amount, currency, billedAt, chargeId }: ChargeRow, file: string): Charge | null {
  const read = amount === null ? undefined : parseAmount(amount);
  if (entry === null || currency === null || read === undefined) return null;
  return { entry, amount: read, currency, billedAt: timeOf(billedAt), chargeId, file };
}

function timeOf(text: string | null): number | null {
  return text === null ? null : Date.parse(text);
}
