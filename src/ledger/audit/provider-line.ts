import type { Amount } from '../../core/money/amount.ts';

/** A line of a provider's file as it was read: what it does not say is null. */
export interface ProviderLine {
  taskId: string | null;
  requestId: string | null;
  model: string | null;
  duration: number | null;
  prompt: string | null;
  status: string | null;
  createdAt: number | null;
  client: string | null;
  chargeId: string | null;
  entry: 'charge' | 'refund' | null;
  /** Not negative. */
  amount: Amount | null;
  currency: string | null;
  billedAt: number | null;
  /** A time in it has its zone from `--tz`. */
  zoned: boolean;
  /** The amount is negative, and no word says what that means. */
  negative: boolean;
  /** It is about no task, and says so: a top-up. */
  aside: boolean;
  /** Why it cannot be read. */
  fault: string | null;
}

export interface FileLine {
  /** 1-based. */
  line: number;
  /** The line as JSON text. */
  raw: string;
  /** It is in a list of tasks: it says how they are, or says nothing of money. */
  listed: boolean;
  read: ProviderLine;
}

/**
 * What is the same in two files that overlap: the provider's number, else the time to the second. A line with neither
 * says no more than what the task costs.
 */
export function identityOf({
  entry,
  billedAt,
  chargeId,
}: {
  entry: 'charge' | 'refund';
} & Pick<ProviderLine, 'billedAt' | 'chargeId'>): string {
  if (chargeId !== null) return `id:${chargeId}`;
  return billedAt === null ? `untimed:${entry}` : `${entry}@${Math.floor(billedAt / 1000)}`;
}
