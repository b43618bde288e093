import { formatAmount, formatMoney, moneyJson, sums, type Money } from '../core/money/money.ts';
import { formatCount, plural } from '../core/units.ts';
import { amountOf } from '../ledger/money/budget.ts';
import type { Dispute, DisputeKind } from '../ledger/read/dispute.ts';
import { csvLine } from '../results/audit/difference.ts';

/** A dispute as a person at the provider reads it. */
export interface DisputeEntry extends Omit<Dispute, 'charged' | 'price' | 'currency' | 'request'> {
  batch: string;
  /** `charged`: a bill says so. Otherwise only the provider knows. */
  charge: 'charged' | 'may be charged';
  /** What the bills say, or the price at which the row was sent; empty: not known. */
  amounts: Money[];
  /** What was sent; null without the consent of the person who writes. */
  request: string | null;
}

export const KIND_TEXTS: Readonly<
  Record<DisputeKind, { title: string; what: string; noun: [one: string, many: string] }>
> = {
  'charged-twice': {
    title: 'Tasks that were charged more than once',
    what: 'Each of these tasks has more than one charge. The amount is what goes beyond its highest charge.',
    noun: ['task charged more than once', 'tasks charged more than once'],
  },
  'paid-twice': {
    title: 'Tasks that were made twice',
    what: 'These tasks were made in addition to another task for the same request.',
    noun: ['surplus task', 'surplus tasks'],
  },
  'task-failed': {
    title: 'Tasks that failed',
    what: 'These tasks were accepted and ended without a video. They were charged, or may have been charged.',
    noun: ['failed task', 'failed tasks'],
  },
  uncertain: {
    title: 'Requests without a clear answer',
    what: 'These requests were sent, and the answer does not say whether a task was made. Please tell whether there is a task, and whether it was charged.',
    noun: ['request without a clear answer', 'requests without a clear answer'],
  },
};

/** `redact` removes secrets; without `withPrompts` also the prompts. */
export function disputeEntry(
  batch: string,
  { charged, price, currency, request, ...rest }: Dispute,
  { redact, withPrompts }: { redact: (text: string) => string; withPrompts: boolean },
): DisputeEntry {
  const prompts = withPrompts || request === null ? [] : promptsOf(request);
  const clean = (text: string | null): string | null =>
    text === null ? null : withoutPrompts(redact(text), prompts);
  const answer = clean(rest.answer);
  const isCut = (rest.answerLength ?? 0) > (rest.answer?.length ?? 0);
  const sent: Money[] = price === null || currency === null ? [] : [{ amount: amountOf(price), currency }];
  return {
    ...rest,
    batch,
    charge: charged === null ? 'may be charged' : 'charged',
    amounts:
      charged?.map(({ amount, currency: unit }) => ({ amount: amountOf(amount), currency: unit })) ?? sent,
    problem: clean(rest.problem),
    answer: isCut ? `${answer}… (cut; it has ${formatCount(rest.answerLength ?? 0)} characters)` : answer,
    request: withPrompts && request !== null ? redact(request) : null,
  };
}

/** Shorter texts are not removed: they occur inside of too many other words. */
const SHORTEST = 4;

/** The texts of a request that describe a video, the longest first. */
function promptsOf(request: string): string[] {
  const texts = new Set<string>();
  const visit = (value: unknown, isPrompt: boolean): void => {
    if (typeof value === 'string') {
      if (isPrompt && value.length >= SHORTEST) texts.add(value);
    } else if (typeof value === 'object' && value !== null) {
      for (const [name, inner] of Object.entries(value))
        visit(inner, Array.isArray(value) ? isPrompt : /prompt|text|description/i.test(name));
    }
  };
  visit(JSON.parse(request), false);
  return [...texts].sort((a, b) => b.length - a.length);
}

/** A provider may repeat a prompt in its answer, as it is or as in JSON. */
function withoutPrompts(text: string, prompts: readonly string[]): string {
  return prompts.reduce((clean, prompt) => {
    const inJson = JSON.stringify(prompt).slice(1, -1);
    const inAscii = inJson.replaceAll(
      /[^ -~]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    return [prompt, inJson, inAscii].reduce((rest, form) => rest.replaceAll(form, '[prompt]'), clean);
  }, text);
}

const COLUMNS = [
  'kind',
  'charge',
  'batch',
  'row_key',
  'line',
  'task_id',
  'request_id',
  'model',
  'claimed_at',
  'answered_at',
  'ended_at',
  'http_status',
  'amount',
  'currency',
  'problem',
  'raw_answer',
] as const;

/** The entries as CSV, with a header. Times are RFC 3339 UTC. */
export async function* disputeCsv(
  entries: AsyncIterable<DisputeEntry>,
  { withPrompts }: { withPrompts: boolean },
): AsyncGenerator<string> {
  yield csvLine(withPrompts ? [...COLUMNS, 'request'] : COLUMNS);
  for await (const entry of entries) {
    const cells: Record<(typeof COLUMNS)[number], string | number | null | undefined> = {
      kind: entry.kind,
      charge: entry.charge,
      batch: entry.batch,
      row_key: entry.key,
      line: entry.line,
      task_id: entry.taskId,
      request_id: entry.requestId,
      model: entry.model,
      claimed_at: entry.claimedAt?.toISOString(),
      answered_at: entry.answeredAt?.toISOString(),
      ended_at: entry.endedAt?.toISOString(),
      http_status: entry.httpStatus,
      amount: entry.amounts.map(({ amount }) => formatAmount(amount, 2)).join(' '),
      currency: entry.amounts.map(({ currency }) => currency).join(' '),
      problem: entry.problem,
      raw_answer: entry.answer,
    };
    const line = COLUMNS.map((column) => String(cells[column] ?? ''));
    yield csvLine(withPrompts ? [...line, entry.request ?? ''] : line);
  }
}

/** Counts entries while they are written. */
export class DisputeTotals {
  readonly #kinds = new Map<DisputeKind, number>();
  #money: Money[] = [];
  #unpriced = 0;

  add({ kind, amounts }: DisputeEntry): void {
    this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1);
    this.#money = sums([...this.#money, ...amounts]);
    if (amounts.length === 0) this.#unpriced += 1;
  }

  /** `3 failed tasks, 1 surplus task: at most 4.00 CNY` */
  format(): string {
    if (this.#kinds.size === 0) return 'nothing was charged in vain, as far as the ledger knows';
    const kinds = [...this.#kinds].map(([kind, n]) => plural(n, ...KIND_TEXTS[kind].noun));
    const money = this.#money.map(formatMoney).join(' + ');
    const unpriced = this.#unpriced === 0 ? '' : `${formatCount(this.#unpriced)} of unknown price`;
    const amounts = [money === '' ? '' : `at most ${money}`, unpriced].filter((part) => part !== '');
    return `${kinds.join(', ')}: ${amounts.join(', and ')}`;
  }

  json(): Record<string, unknown> {
    return {
      ...Object.fromEntries(this.#kinds),
      amounts: this.#money.map(moneyJson),
      unpriced: this.#unpriced,
    };
  }
}
