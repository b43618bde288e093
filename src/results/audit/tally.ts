import { add, formatAmount } from '../../core/money/amount.ts';
import type { Amount } from '../../core/money/amount.ts';
import { settle } from './charge.ts';
import { KIND_NAMES, KINDS, isDifference } from './kind.ts';
import type { KindName } from './kind.ts';
import type { Finding } from './subject.ts';

/** An exact decimal as text. */
export interface MoneyText {
  currency: string;
  amount: string;
}

/** One kind in an account: how often it was found, what money it is about, and the first few. */
export interface Counted {
  kind: KindName;
  tasks: number;
  /** Charges less refunds, by currency: exact decimals as text. */
  amounts: MoneyText[];
  examples: Example[];
  /** Of a kind that is grouped: the largest groups. */
  groups: { group: string; tasks: number }[];
}

export interface Example {
  taskId: string | null;
  batch: string | null;
  key: string | null;
  /** `bill.csv:12` */
  lines: string[];
  fault: string | null;
  /** What was billed, and the price, where they differ. */
  billed: MoneyText[];
  expected: MoneyText | null;
}

const MOST_EXAMPLES = 3;
const MOST_GROUPS = 5;
/** Beyond so many names, the rest is one group. */
const MOST_NAMES = 100;

/** Counts what was found, in memory that does not grow with it. */
export class Tally {
  readonly #tasks = new Map<KindName, number>();
  readonly #amounts = new Map<KindName, Map<string, Amount>>();
  readonly #examples = new Map<KindName, Example[]>();
  readonly #groups = new Map<KindName, Map<string, number>>();
  #differing = 0;

  add(finding: Finding): void {
    if (finding.kinds.some(isDifference)) this.#differing += 1;
    const net = netOf(finding);
    for (const kind of finding.kinds) {
      this.#tasks.set(kind, (this.#tasks.get(kind) ?? 0) + 1);
      const sums = this.#amounts.get(kind) ?? new Map<string, Amount>();
      for (const [currency, amount] of net) {
        const sum = sums.get(currency);
        sums.set(currency, sum === undefined ? amount : add(sum, amount));
      }
      this.#amounts.set(kind, sums);
      if ('grouped' in KINDS[kind]) this.#group(kind, finding);
      else this.#example(kind, finding, net);
    }
  }

  /** Tasks and lines that differ in one way or more. */
  get differing(): number {
    return this.#differing;
  }

  count(kind: KindName): number {
    return this.#tasks.get(kind) ?? 0;
  }

  /** What was found at all, in the order of the table. */
  counted(): Counted[] {
    return KIND_NAMES.filter((kind) => this.count(kind) > 0).map((kind) => ({
      kind,
      tasks: this.count(kind),
      amounts: texts(this.#amounts.get(kind) ?? []),
      examples: this.#examples.get(kind) ?? [],
      groups: [...(this.#groups.get(kind) ?? [])]
        .map(([group, tasks]) => ({ group, tasks }))
        .toSorted((a, b) => b.tasks - a.tasks)
        .slice(0, MOST_GROUPS),
    }));
  }

  #example(kind: KindName, { row, lines, expected }: Finding, net: Map<string, Amount>): void {
    const examples = this.#examples.get(kind) ?? [];
    this.#examples.set(kind, examples);
    if (examples.length >= MOST_EXAMPLES || kind === 'matched') return;
    examples.push({
      taskId: row?.subject ?? null,
      batch: row?.batch ?? null,
      key: row?.row_key ?? null,
      lines: lines.map(({ file, line }) => `${file}:${line}`).slice(0, MOST_EXAMPLES),
      fault: lines.find(({ fault }) => fault !== null)?.fault ?? null,
      billed: expected === null ? [] : texts(net),
      expected: expected && { currency: expected.currency, amount: formatAmount(expected.amount, 2) },
    });
  }

  #group(kind: KindName, { row, lines }: Finding): void {
    const groups = this.#groups.get(kind) ?? new Map<string, number>();
    this.#groups.set(kind, groups);
    const name = row?.batch ?? lines.find(({ client }) => client !== null)?.client ?? lines[0]?.file ?? '';
    const group = groups.has(name) || groups.size < MOST_NAMES ? name : 'others';
    groups.set(group, (groups.get(group) ?? 0) + 1);
  }
}

function texts(sums: Iterable<[string, Amount]>): MoneyText[] {
  return [...sums]
    .map(([currency, amount]) => ({ currency, amount: formatAmount(amount, 2) }))
    .toSorted((a, b) => (a.currency < b.currency ? -1 : 1));
}

function netOf({ subject }: Finding): Map<string, Amount> {
  if (subject === null) return new Map();
  return settle([...subject.lines.flatMap(({ charge }) => charge ?? []), ...subject.earlier]).net;
}
