import type { Evidence, Edge } from '../../ledger/audit/suspect.ts';
/** What the files show of the account as a whole. */
export interface Signs {
  /**
   * Whether tasks that both know were created when the ledger says. `unseen`: there is none of which that can be said.
   */
  clocks: 'agree' | 'differ' | 'unseen';
  /** The times of the files name their zone themselves, and `--tz` had no part in them. */
  absolute: boolean;
  /** Tasks of the ledger's time that nobody here can have made: another client uses the account. */
  strangers: number;
  /** Those of them with the prompt and model of a row that has its task: another client sends the same prompts. */
  twins: number;
}

export type Verdict =
  | { kind: 'settled'; task: string; evidence: Evidence }
  /** One task, and it might yet be somebody else's. */
  | { kind: 'unproven'; task: string; why: 'clocks' | 'strangers' | 'twins' }
  /** The task may be another row's, or there are several. */
  | { kind: 'ambiguous' }
  | { kind: 'none' };

/**
 * What becomes of each owner that is asked about. A row and a task belong together when neither has anybody else: then
 * every explanation of the file has this pair in it. Whatever else is open stays open, and so does a row without a task:
 * a list may be late, or lack a page. Pure.
 *
 * The edges must be all of those that touch an asked owner's only task; of owners with several, two are enough.
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
 * Only a request names its attempt whoever else is there. A time proves nothing by clocks that differ; and that nobody
 * else has made a task of this model then, only where nobody else is seen. A file with tasks of others and none that the
 * ledger knows is another account's: whoever sent the same manifest there has the same prompts. So has
 * another client of this account that sends it: then a prompt is no proof either.
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
