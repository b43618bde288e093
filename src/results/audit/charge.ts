import { identityOf } from '../../ledger/audit/provider-lines.ts';
import { add, compare, negate, ZERO, type Amount } from '../../core/money/money.ts';

/** The charge or refund that one line names. */
export interface Charge {
  entry: 'charge' | 'refund';
  /** Never negative: `entry` has the sign. */
  amount: Amount;
  currency: string;
  /** Milliseconds since the epoch. */
  billedAt: number | null;
  /** The provider's own number of this entry. */
  chargeId: string | null;
  file: string;
}

export interface Settled {
  /** Without pairs of a charge and a refund of the same amount. */
  charges: Charge[];
  refunds: Charge[];
  /** Charges less refunds, by currency. */
  net: Map<string, Amount>;
  /** The number of charges before pairs of a charge and its refund were removed. */
  charged: number;
  /** Two files or two lines give different amounts for the same entry. */
  conflict: boolean;
}

/**
 * The entries of one task from several files, each counted once. The same entry in two files is one; two equal entries in
 * one file are two. Lines without time and number do not count where another file has better lines; they are compared.
 */
export function settle(lines: readonly Charge[]): Settled {
  const { entries, conflict } = distinct(lines);
  const untimed = entries.filter((line) => identityOf(line).startsWith('untimed:'));
  const timed = entries.filter((line) => !untimed.includes(line));
  const counted = timed.length > 0 ? timed : untimed;
  const net = netOf(counted);
  const charges = counted.filter(({ entry }) => entry === 'charge');
  const refunds: Charge[] = [];
  for (const refund of counted.filter(({ entry }) => entry === 'refund')) {
    const undone = charges.findIndex((charge) => sameMoney(charge, refund));
    if (undone === -1) refunds.push(refund);
    else charges.splice(undone, 1);
  }
  const quoted = timed.length > 0 && untimed.length > 0 && !sameNet(netOf(untimed), net);
  return {
    charges,
    refunds,
    net,
    charged: counted.filter(({ entry }) => entry === 'charge').length,
    conflict: conflict || quoted,
  };
}

/** The n-th entry of an identity in one file is the n-th entry of it in another file. */
function distinct(lines: readonly Charge[]): { entries: Charge[]; conflict: boolean } {
  const seen = new Map<string, Charge>();
  const counts = new Map<string, number>();
  let conflict = false;
  for (const line of lines) {
    const identity = identityOf(line);
    // A charge id names one entry, however often it is listed.
    const nth = identity.startsWith('id:') ? 0 : (counts.get(`${line.file}\n${identity}`) ?? 0);
    counts.set(`${line.file}\n${identity}`, nth + 1);
    const key = `${identity}\n${nth}`;
    const known = seen.get(key);
    if (known === undefined) seen.set(key, line);
    else if (!sameMoney(known, line) || known.entry !== line.entry) conflict = true;
  }
  return { entries: [...seen.values()], conflict };
}

function netOf(lines: readonly Charge[]): Map<string, Amount> {
  const net = new Map<string, Amount>();
  for (const { entry, amount, currency } of lines) {
    net.set(currency, add(net.get(currency) ?? ZERO, entry === 'charge' ? amount : negate(amount)));
  }
  return net;
}

function sameMoney(a: Charge, b: Charge): boolean {
  return a.currency === b.currency && compare(a.amount, b.amount) === 0;
}

function sameNet(a: ReadonlyMap<string, Amount>, b: ReadonlyMap<string, Amount>): boolean {
  return (
    [...a].every(([currency, amount]) => compare(b.get(currency) ?? ZERO, amount) === 0) && a.size === b.size
  );
}
