import type { Fault } from '../fault.ts';
import { formatFault } from '../fault.ts';
import { count } from '../summary.ts';
import type { Io } from './io.ts';

/** Shows faults as they come: errors one by one up to a limit, warnings grouped by rule with three examples. */
export class FaultReport {
  errors = 0;
  warnings = 0;
  readonly #io: Pick<Io, 'err'>;
  readonly #limit: number;
  readonly #rules = new Map<string, { total: number; examples: string[] }>();

  constructor(io: Pick<Io, 'err'>, limit = Infinity) {
    this.#io = io;
    this.#limit = limit;
  }

  add(fault: Fault, manifest: string): void {
    if (fault.severity === 'error') {
      this.errors += 1;
      if (this.errors <= this.#limit) this.#io.err(formatFault(manifest, fault));
      return;
    }
    this.warnings += 1;
    const rule = this.#rules.get(fault.rule) ?? { total: 0, examples: [] };
    this.#rules.set(fault.rule, rule);
    rule.total += 1;
    if (rule.examples.length < 3) rule.examples.push(formatFault(manifest, fault));
  }

  /** What is left to say at the end. */
  finish(hint = ''): void {
    if (this.errors > this.#limit) {
      this.#io.err(`… and ${count(this.errors - this.#limit)} more errors${hint}`);
    }
    for (const [rule, { total, examples }] of this.#rules) {
      for (const example of examples) this.#io.err(`warning: ${example}`);
      if (total > examples.length)
        this.#io.err(`warning: … and ${count(total - examples.length)} more [${rule}]`);
    }
    this.#rules.clear();
  }
}
