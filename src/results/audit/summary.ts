import { add, formatAmount, type Amount } from '../../core/money/money.ts';
import { TYPE_NAMES, FINDING_TYPES, isDifference, type FindingType } from './finding-type.ts';
import { settleTask, type AuditFinding } from './audited-task.ts';

/** An exact decimal as text. */
export interface MoneyText {
  currency: string;
  amount: string;
}

/** One type of finding: how often it was found, what money it is about, and the first examples. */
export interface Counted {
  kind: FindingType;
  tasks: number;
  /** Charges less refunds, by currency: exact decimals as text. */
  amounts: MoneyText[];
  examples: Example[];
  /** The largest groups, for a type that is grouped. */
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
/** After this many names, all others are one group. */
const MOST_NAMES = 100;

/** The findings of one type so far. */
interface Found {
  tasks: number;
  amounts: Map<string, Amount>;
  examples: Example[];
  groups: Map<string, number>;
}

/** Counts what was found, in memory that does not grow with it. */
export class AuditSummary {
  readonly #found = new Map<FindingType, Found>();
  #differing = 0;

  add(finding: AuditFinding): void {
    if (finding.kinds.some(isDifference)) this.#differing += 1;
    const net = finding.subject === null ? new Map<string, Amount>() : settleTask(finding.subject).net;
    for (const kind of finding.kinds) {
      const found: Found = this.#found.get(kind) ?? {
        tasks: 0,
        amounts: new Map(),
        examples: [],
        groups: new Map(),
      };
      this.#found.set(kind, found);
      found.tasks += 1;
      for (const [currency, amount] of net) {
        const sum = found.amounts.get(currency);
        found.amounts.set(currency, sum === undefined ? amount : add(sum, amount));
      }
      if (FINDING_TYPES[kind].grouped === true) addToGroup(found.groups, finding);
      else if (kind !== 'matched' && found.examples.length < MOST_EXAMPLES) {
        found.examples.push(exampleOf(finding, net));
      }
    }
  }

  /** Tasks and lines that differ in one way or more. */
  get differing(): number {
    return this.#differing;
  }

  count(kind: FindingType): number {
    return this.#found.get(kind)?.tasks ?? 0;
  }

  /** All findings, in the order of the table. */
  counted(): Counted[] {
    return TYPE_NAMES.flatMap((kind) => {
      const found = this.#found.get(kind);
      if (found === undefined) return [];
      const groups = [...found.groups]
        .map(([group, tasks]) => ({ group, tasks }))
        .toSorted((a, b) => b.tasks - a.tasks)
        .slice(0, MOST_GROUPS);
      return { kind, tasks: found.tasks, amounts: texts(found.amounts), examples: found.examples, groups };
    });
  }
}

function exampleOf({ row, lines, expected }: AuditFinding, net: Map<string, Amount>): Example {
  return {
    taskId: row?.subject ?? null,
    batch: row?.batch ?? null,
    key: row?.key ?? null,
    lines: lines.map(({ file, line }) => `${file}:${line}`).slice(0, MOST_EXAMPLES),
    fault: lines.find(({ fault }) => fault !== null)?.fault ?? null,
    billed: expected === null ? [] : texts(net),
    expected: expected && { currency: expected.currency, amount: formatAmount(expected.amount, 2) },
  };
}

function addToGroup(groups: Map<string, number>, { row, lines }: AuditFinding): void {
  const name = row?.batch ?? lines.find(({ client }) => client !== null)?.client ?? lines[0]?.file ?? '';
  const group = groups.has(name) || groups.size < MOST_NAMES ? name : 'others';
  groups.set(group, (groups.get(group) ?? 0) + 1);
}

function texts(sums: Iterable<[string, Amount]>): MoneyText[] {
  return [...sums]
    .map(([currency, amount]) => ({ currency, amount: formatAmount(amount, 2) }))
    .toSorted((a, b) => (a.currency < b.currency ? -1 : 1));
}
