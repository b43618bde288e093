import type { Fault } from '../manifest/fault.ts';
import { formatFault } from '../manifest/fault.ts';
import { count } from '../core/format.ts';
import type { Io } from './io.ts';

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
        `… and ${count(this.errors - this.#shown)} more ${this.errors - this.#shown === 1 ? 'error' : 'errors'}${hint}`,
      );
    }
    // Errors first.
    const groups = [...this.#rules.values()].toSorted((a, b) => a.prefix.length - b.prefix.length);
    for (const { prefix, rule, total, examples } of groups) {
      for (const example of examples) this.#io.err(`${prefix}${example}`);
      const left = total - examples.length;
      if (left > 0) this.#io.err(`${prefix}… and ${count(left)} more [${rule}]${prefix === '' ? hint : ''}`);
    }
    this.#rules.clear();
  }
}
