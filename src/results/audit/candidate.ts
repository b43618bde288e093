import type { Evidence, Edge } from '../../ledger/audit/candidates.ts';

/** What the files show about the account as a whole. */
export interface Signs {
  /**
   * Whether tasks that both sides know were created when the ledger says. `unseen`: there is no such task with a time.
   */
  clocks: 'agree' | 'differ' | 'unseen';
  /** Every time in the files names its zone; `--tz` was not used. */
  absolute: boolean;
  /** Tasks from the ledger's time that no row of it can have made: another client uses the account. */
  strangers: number;
  /** Strangers with the prompt and model of a row that has its own task: another client sends the same prompts. */
  twins: number;
}

export type Verdict =
  | { kind: 'settled'; task: string; evidence: Evidence }
  /** One task, but it may belong to another client. */
  | { kind: 'unproven'; task: string; why: 'clocks' | 'strangers' | 'twins' }
  /** The task may belong to another row, or there are several tasks. */
  | { kind: 'ambiguous' }
  | { kind: 'none' };

/**
 * The verdict for each owner. A row and a task belong together when neither has another candidate: then every explanation of
 * the file contains this pair. All else stays open, also a row without a task, because a list may be late or lack a page.
 * Pure.
 *
 * `edges` must hold every edge of a task that is the only one of its owner. Of an owner with several tasks, two are enough.
 */
export function explain(
  owners: Iterable<string>,
  edges: readonly Edge[],
  signs: Signs,
): Map<string, Verdict> {
  const tasks = Map.groupBy(edges, ({ owner }) => owner);
  const makers = Map.groupBy(edges, ({ task }) => task);
  const alone = (all: readonly Edge[]): boolean =>
    new Set(all.map(({ owner, task }) => `${owner}\n${task}`)).size === 1;
  const verdicts = new Map<string, Verdict>();
  for (const owner of owners) {
    const [edge, ...more] = tasks.get(owner) ?? [];
    if (edge === undefined) verdicts.set(owner, { kind: 'none' });
    else if (!alone([edge, ...more]) || !alone(makers.get(edge.task) ?? []))
      verdicts.set(owner, { kind: 'ambiguous' });
    else verdicts.set(owner, proven(best([edge, ...more]), signs));
  }
  return verdicts;
}

/**
 * A request id is always proof. The other evidence needs clocks that agree, and no other client with the same prompts. Time
 * alone is proof only if no other client is seen at all. A file with tasks of others and none that the ledger knows may
 * belong to another account, where the same manifest was sent: then a prompt is no proof, either.
 */
function proven({ task, evidence }: Edge, { clocks, absolute, strangers, twins }: Signs): Verdict {
  const settled = { kind: 'settled' as const, task, evidence };
  if (evidence === 'request') return settled;
  const agreed =
    clocks === 'agree' || (clocks === 'unseen' && absolute && evidence === 'prompt' && strangers === 0);
  if (!agreed) return { kind: 'unproven', task, why: 'clocks' };
  if (twins > 0) return { kind: 'unproven', task, why: 'twins' };
  return evidence === 'time' && strangers > 0 ? { kind: 'unproven', task, why: 'strangers' } : settled;
}

function best(edges: readonly Edge[]): Edge {
  const order: readonly Evidence[] = ['request', 'prompt', 'time'];
  const [first, ...more] = edges.toSorted((a, b) => order.indexOf(a.evidence) - order.indexOf(b.evidence));
  if (first === undefined) throw new Error(`no edge, and ${more.length} more`);
  return first;
}
