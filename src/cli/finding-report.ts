import { EXIT } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import type { Finding, Severity } from '../ledger/verify/invariant.ts';
import { count } from '../core/format.ts';
import type { Io } from './io.ts';

/** Worst first. */
const WORDS: Record<Severity, string> = {
  risk: 'RISK',
  broken: 'BROKEN',
  difference: 'differs',
  note: 'note',
};
const ORDER = Object.keys(WORDS) as Severity[];

const EXAMPLES = 3;

interface Group {
  severity: Severity;
  invariant: string;
  total: number;
  examples: Finding[];
}

/** Tells findings as people read them, grouped with three examples each, or (`json`) each as a line as it comes. */
export class FindingReport {
  readonly #io: Pick<Io, 'out' | 'write'>;
  readonly #json: boolean;
  readonly #groups = new Map<string, Group>();

  constructor(io: Pick<Io, 'out' | 'write'>, json: boolean) {
    this.#io = io;
    this.#json = json;
  }

  async add(finding: Finding): Promise<void> {
    const { severity, invariant } = finding;
    const name = `${severity} ${invariant}`;
    const group = this.#groups.get(name) ?? { severity, invariant, total: 0, examples: [] };
    this.#groups.set(name, group);
    group.total += 1;
    if (this.#json) await this.#io.write(`${JSON.stringify(finding)}\n`);
    else if (group.examples.length < EXAMPLES) group.examples.push(finding);
  }

  /** How many findings there are of this severity. */
  count(severity: Severity): number {
    return [...this.#groups.values()].reduce(
      (sum, one) => sum + (one.severity === severity ? one.total : 0),
      0,
    );
  }

  /** Shows the groups, worst first. With `json` everything has been said. */
  finish(checked: string): void {
    if (this.#json) return;
    const groups = [...this.#groups.values()];
    for (const group of ORDER.flatMap((severity) => groups.filter((one) => one.severity === severity))) {
      for (const line of describe(group)) this.#io.out(line);
    }
    const faults = ORDER.slice(0, -1).reduce((sum, severity) => sum + this.count(severity), 0);
    const verdict =
      faults === 0 ? 'every invariant holds' : `${count(faults)} ${faults === 1 ? 'fault' : 'faults'}`;
    this.#io.out(`${checked} · ${verdict}`);
  }

  /** The highest risk wins: 5, 1, 7. */
  exitCode(): ExitCode {
    if (this.count('risk') > 0) return EXIT.uncertainRows;
    if (this.count('broken') > 0) return EXIT.operational;
    return this.count('difference') > 0 ? EXIT.differences : EXIT.ok;
  }
}

function describe({ severity, invariant, total, examples }: Group): string[] {
  const shown = examples.flatMap(({ batch, key, what, next }, n) => {
    const where = batch === null ? '' : ` ${key === null ? batch : `${batch} ${key}`}:`;
    const line = `${WORDS[severity]}${where} ${what} [${invariant}]`;
    return next === examples[n + 1]?.next ? [line] : [line, `  ${next}`];
  });
  const left = total - examples.length;
  return left > 0
    ? [...shown, `${WORDS[severity]} … and ${count(left)} more [${invariant}]; --json lists all`]
    : shown;
}
