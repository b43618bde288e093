import { messageOf, VidbatchError } from '../core/errors.ts';
import { formatCount } from '../core/units.ts';
import type { LimitInForce } from '../ledger/send/quota.ts';
import { formatFault } from '../manifest/entry.ts';
import type { Fault } from '../manifest/entry.ts';
import type { Io } from './io.ts';

/** What a person is told of an error, line by line. */
export function formatError(error: unknown): string[] {
  const { code, hint } = told(error);
  // The code belongs to what went wrong, and not to the last of the rows that are listed below.
  const [headline = '', ...listed] = messageOf(error).split('\n');
  return [`vidbatch: ${headline} [${code}]`, ...listed, ...(hint === undefined ? [] : [`  ${hint}`])];
}

/** The same for a program. */
export function errorJson(error: unknown): { code: string; message: string; hint: string | null } {
  const { code, hint } = told(error);
  return { code, message: messageOf(error), hint: hint ?? null };
}

function told(error: unknown): { code: string; hint?: string | undefined } {
  return error instanceof VidbatchError ? error : { code: 'UNEXPECTED' };
}

/** Of a provider that was asked for tasks and said nothing: it is most likely not the one that has them. */
export function providerSilent(
  { asked, unanswered, silent }: { asked: number; unanswered: number; silent?: string | null },
  more = '',
): VidbatchError {
  const none =
    asked === 1 ? 'did not answer the one question' : `answered none of ${formatCount(asked)} questions`;
  const what = unanswered === asked ? none : `answers no longer: ${silent ?? 'nobody knows why'}`;
  return new VidbatchError('PROVIDER_SILENT', `the provider ${what}`, {
    hint: `Check VIDBATCH_BASE_URL and VIDBATCH_API_KEY.${more}`,
  });
}

/** `20/s · 3 of 5 tasks in flight · viduq3p-1080p 2/s` */
export function formatLimits(limits: readonly Omit<LimitInForce, 'origin'>[]): string {
  return limits
    .map(({ model, perSecond, found, maxInFlight, inFlight, uncertain }) => {
      const parts = [
        ...(perSecond === null ? [] : [`${rate(perSecond)}${found ? ' (found)' : ''}`]),
        ...(maxInFlight === null
          ? []
          : [`${formatCount(inFlight ?? 0)} of ${formatCount(maxInFlight)} tasks in flight`]),
        // They may keep all others waiting, and only a person knows better.
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

function rate(perSecond: number): string {
  return perSecond >= 1
    ? `${Number(perSecond.toPrecision(3))}/s`
    : `${Number((perSecond * 60).toPrecision(3))}/m`;
}

const EXAMPLES = 3;
/** So many are kept for a program: a file may have millions. */
const MOST_KEPT = 10_000;

function faultJson(fault: Fault, file: string): Record<string, unknown> {
  const { severity, line, row = null, id = null, column = null, rule, message } = fault;
  return { severity, file, line, row, id, column, rule, message };
}

/** Which errors are shown one by one as they come: so many, or three of each rule at the end. */
type Shown = number | 'examples';

/** Shows faults: errors as is asked, warnings grouped by rule with three examples (with `all`, each as it comes). */
export class FaultReport {
  errors = 0;
  warnings = 0;
  readonly #kept: Record<string, unknown>[] = [];
  readonly #io: Pick<Io, 'err'>;
  readonly #shown: Shown;
  readonly #rules = new Map<string, { prefix: string; rule: string; total: number; examples: string[] }>();

  constructor(io: Pick<Io, 'err'>, shown: Shown = Infinity) {
    this.#io = io;
    this.#shown = shown;
  }

  add(fault: Fault, manifest: string): void {
    const isError = fault.severity === 'error';
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

  /** All that was added, as a program reads it; `moreFaults` are too many to keep. */
  json(): { faults: readonly Record<string, unknown>[]; moreFaults: number } {
    return { faults: this.#kept, moreFaults: this.errors + this.warnings - this.#kept.length };
  }

  /** What is left to say at the end; `hint` says how to see all. */
  finish(hint = ''): void {
    if (typeof this.#shown === 'number' && this.errors > this.#shown) {
      this.#io.err(
        `… and ${formatCount(this.errors - this.#shown)} more ${this.errors - this.#shown === 1 ? 'error' : 'errors'}${hint}`,
      );
    }
    // Errors first.
    const groups = [...this.#rules.values()].toSorted((a, b) => a.prefix.length - b.prefix.length);
    for (const { prefix, rule, total, examples } of groups) {
      for (const example of examples) this.#io.err(`${prefix}${example}`);
      const left = total - examples.length;
      if (left > 0)
        this.#io.err(`${prefix}… and ${formatCount(left)} more [${rule}]${prefix === '' ? hint : ''}`);
    }
    this.#rules.clear();
  }
}
