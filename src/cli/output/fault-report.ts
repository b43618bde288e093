import { formatCount, plural } from '../../core/units.ts';
import { formatFault, type Fault } from '../../manifest/entry.ts';

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
  readonly #io: { err: (line: string) => void };
  readonly #shown: number | 'examples';
  readonly #rules = new Map<string, RuleGroup>();
  /** A column without a name is one warning, although each row with a value in it has one. */
  readonly #unnamed = new Set<string>();

  constructor(io: { err: (line: string) => void }, shown: number | 'examples') {
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
