import { messageOf, VidbatchError } from '../core/errors.ts';
import { formatCount, plural } from '../core/units.ts';
import type { AnsweredCosts } from '../ledger/tasks/costs.ts';
import type { LimitInForce } from '../ledger/send/quota.ts';
import { formatFault } from '../manifest/entry.ts';
import type { Fault } from '../manifest/entry.ts';
import type { Io } from './io.ts';

/** The lines that show an error to a person. */
export function formatError(error: unknown): string[] {
  const { code, message, hint } = errorJson(error);
  // The code follows the headline, and not the last of the listed rows.
  const [headline = '', ...listed] = message.split('\n');
  return [`vidbatch: ${headline} [${code}]`, ...listed, ...(hint === null ? [] : [`  ${hint}`])];
}

/** The same for a program. */
export function errorJson(error: unknown): { code: string; message: string; hint: string | null } {
  const known = error instanceof VidbatchError ? error : undefined;
  return { code: known?.code ?? 'UNEXPECTED', message: messageOf(error), hint: known?.hint ?? null };
}

/** The provider did not answer polls. Most likely it is another provider than the one that has the tasks. */
export function providerSilent(
  { asked, unanswered, silent }: { asked: number; unanswered: number; silent?: string | null },
  more = '',
): VidbatchError {
  const none = asked === 1 ? 'did not answer the one poll' : `answered none of ${formatCount(asked)} polls`;
  const what = unanswered === asked ? none : `answers no longer: ${silent ?? 'the reason is not known'}`;
  return new VidbatchError('PROVIDER_SILENT', `the provider ${what}`, {
    hint: `Check VIDBATCH_BASE_URL and VIDBATCH_API_KEY.${more}`,
  });
}

/** `7.5 coin for 3 tasks · 1 ended task tells none`; undefined: no answer tells a cost. */
export function formatCosts({ sums, untold }: AnsweredCosts): string | undefined {
  if (untold === null) return undefined;
  const parts = sums.map(({ unit, amount, tasks }) => `${amount} ${unit} for ${plural(tasks, 'task')}`);
  return [
    parts.join(' and '),
    ...(untold === 0 ? [] : [plural(untold, 'ended task tells none', 'ended tasks tell none')]),
  ].join(' · ');
}

/** `20/s · 3 of 5 tasks in flight · viduq3p-1080p 2/s` */
export function formatLimits(limits: readonly Omit<LimitInForce, 'origin'>[]): string {
  return limits
    .map(({ model, perSecond, found, maxInFlight, inFlight, uncertain }) => {
      const parts = [
        ...(perSecond === null ? [] : [`${formatRate(perSecond)}${found ? ' (found)' : ''}`]),
        ...(maxInFlight === null
          ? []
          : [`${formatCount(inFlight ?? 0)} of ${formatCount(maxInFlight)} tasks in flight`]),
        // Uncertain rows may block all others, and only a person can settle them.
        ...(uncertain === null || uncertain === 0
          ? []
          : [
              `${formatCount(uncertain)} of them uncertain: \`vidbatch uncertain\` lists them, \`resolve\` frees their places`,
            ]),
      ];
      return parts.length === 0 ? '' : `${model === null ? '' : `${model} `}${parts.join(', ')}`;
    })
    .filter(Boolean)
    .join(' · ');
}

/** `20/s`, or `30/m` for less than one a second. */
export function formatRate(perSecond: number): string {
  return perSecond >= 1
    ? `${Number(perSecond.toPrecision(3))}/s`
    : `${Number((perSecond * 60).toPrecision(3))}/m`;
}

const EXAMPLES = 3;
/** A file may have millions of faults. This many are kept for `--json`. */
const MOST_KEPT = 10_000;

interface RuleGroup {
  prefix: string;
  rule: string;
  total: number;
  examples: string[];
}

/**
 * Shows the faults of a manifest. If `shown` is a number, each error is shown when it is found, up to this number. If
 * it is `examples`, three examples of each rule are shown at the end. Warnings are shown as examples, unless `shown` is
 * `Infinity`.
 */
export class FaultReport {
  errors = 0;
  warnings = 0;
  readonly #kept: Record<string, unknown>[] = [];
  readonly #io: Pick<Io, 'err'>;
  readonly #shown: number | 'examples';
  readonly #rules = new Map<string, RuleGroup>();
  /** A column without a name is one warning, although each row with a value in it has one. */
  readonly #unnamed = new Set<string>();

  constructor(io: Pick<Io, 'err'>, shown: number | 'examples') {
    this.#io = io;
    this.#shown = shown;
  }

  add(fault: Fault, manifest: string): void {
    const isError = fault.severity === 'error';
    if (fault.rule === 'unnamed-column' && !isError) {
      const column = `${manifest} ${fault.column}`;
      if (this.#unnamed.has(column)) return;
      this.#unnamed.add(column);
    }
    const prefix = isError ? '' : 'warning: ';
    if (isError) this.errors += 1;
    else this.warnings += 1;
    if (this.#kept.length < MOST_KEPT) this.#kept.push(faultJson(fault, manifest));
    const shown = this.#shown;
    if (shown !== 'examples' && (isError || shown === Infinity)) {
      if (!isError || this.errors <= shown) this.#io.err(`${prefix}${formatFault(manifest, fault)}`);
      return;
    }
    const name = `${prefix}${fault.rule}`;
    const group = this.#rules.get(name) ?? { prefix, rule: fault.rule, total: 0, examples: [] };
    this.#rules.set(name, group);
    group.total += 1;
    if (group.examples.length < EXAMPLES) group.examples.push(formatFault(manifest, fault));
  }

  /** For a program: the faults that were kept, and the number of those that were not. */
  json(): { faults: readonly Record<string, unknown>[]; moreFaults: number } {
    return { faults: this.#kept, moreFaults: this.errors + this.warnings - this.#kept.length };
  }

  /** Shows the examples and the number of the other faults; `hint` says how to see all. */
  finish(hint = ''): void {
    const left = typeof this.#shown === 'number' ? this.errors - this.#shown : 0;
    if (left > 0) this.#io.err(`… and ${plural(left, 'more error')}${hint}`);
    const [errors, warnings] = [true, false].map((isError) =>
      [...this.#rules.values()].filter(({ prefix }) => (prefix === '') === isError),
    );
    for (const { prefix, rule, total, examples } of [...(errors ?? []), ...(warnings ?? [])]) {
      for (const example of examples) this.#io.err(`${prefix}${example}`);
      const more = total - examples.length;
      if (more > 0)
        this.#io.err(`${prefix}… and ${formatCount(more)} more [${rule}]${prefix === '' ? hint : ''}`);
    }
    this.#rules.clear();
  }
}

function faultJson(fault: Fault, file: string): Record<string, unknown> {
  const { severity, line, row = null, id = null, column = null, rule, message } = fault;
  return { severity, file, line, row, id, column, rule, message };
}
