import type { AcceptedCreate } from '../../src/simulator/record.ts';
import { compareWithTruth, violations, type ExportedRow } from '../truth.ts';

/** What the ledger says of one manifest at the end, beside what was in the file. */
export interface Book {
  batch: string;
  /** Key → prompt, as in the file. */
  prompts: ReadonlyMap<string, string>;
  exported: readonly ExportedRow[];
}

/** What a round came to, by the provider's own record and the witness; keys are `batch key`. */
export interface Verdict {
  rows: number;
  acceptedTwice: string[];
  rowsLost: string[];
  /** Task ids that stood on a worker's disk, and that the ledger does not know. */
  taskIdsLost: string[];
  uncertain: number;
  /** Of these, how many the provider had accepted. */
  uncertainAccepted: number;
  /** Accepted twice because a person said "not sent" of a row that was. */
  byPerson: number;
  /** What must never be, one line each, with both records. */
  violations: string[];
}

export interface Evidence {
  books: readonly Book[];
  accepted: readonly AcceptedCreate[];
  /** Task ids that stood on a worker's disk, by the word of the witness. */
  witnessed: readonly string[];
  /** Task ids beyond the one of each row, as the ledger has them. */
  surplus: readonly string[];
  /** Prompts of rows of which a person has said, wrongly, that they were not sent. */
  misjudged: ReadonlySet<string>;
}

/** Pure: judges the end of a round. */
export function judge({ books, accepted, witnessed, surplus, misjudged }: Evidence): Verdict {
  const verdict: Verdict = {
    rows: 0,
    acceptedTwice: [],
    rowsLost: [],
    taskIdsLost: [],
    uncertain: 0,
    uncertainAccepted: 0,
    byPerson: 0,
    violations: [],
  };
  const tasks = Map.groupBy(accepted, ({ body }) => body.prompt);
  const known = new Set(surplus);
  for (const { batch, prompts, exported } of books) {
    const mine = accepted.filter(({ body }) => body.prompt.startsWith(promptOf(batch, '')));
    const truth = compareWithTruth([...prompts.values()], exported, mine);
    const rows = new Map(exported.map((row) => [row.request.prompt, row]));
    for (const { task_id: taskId } of exported) if (taskId !== null) known.add(taskId);
    const show = (prompt: string): string => {
      const given = (tasks.get(prompt) ?? []).map(({ taskId, answered }) => `${taskId} (${answered})`);
      return `${prompt}: the ledger: ${JSON.stringify(rows.get(prompt) ?? null)}; the provider: ${given.join(', ') || 'nothing'}`;
    };
    verdict.rows += prompts.size;
    verdict.uncertain += truth.uncertainAccepted.length + truth.uncertainNotAccepted.length;
    verdict.uncertainAccepted += truth.uncertainAccepted.length;
    verdict.acceptedTwice.push(...truth.acceptedTwice.filter((prompt) => !misjudged.has(prompt)));
    verdict.byPerson += truth.acceptedTwice.filter((prompt) => misjudged.has(prompt)).length;
    verdict.rowsLost.push(...truth.rowsLost);
    for (const [kind, of] of Object.entries(violations(truth)) as [string, string[]][]) {
      for (const prompt of of) {
        if (!misjudged.has(prompt)) verdict.violations.push(`${kind}: ${show(prompt)}`);
      }
    }
    for (const row of exported) {
      if (row.state === 'pending') verdict.violations.push(`left pending: ${show(row.request.prompt)}`);
    }
  }
  const byTaskId = new Map(accepted.map((create) => [create.taskId, create.body.prompt]));
  for (const taskId of new Set(witnessed)) {
    if (known.has(taskId)) continue;
    verdict.taskIdsLost.push(taskId);
    const prompt = byTaskId.get(taskId) ?? 'a prompt that the provider does not know';
    const row = books.flatMap((book) => book.exported).find(({ request }) => request.prompt === prompt);
    verdict.violations.push(
      `task id lost: ${taskId} stood on a worker's disk; ${prompt}: the ledger: ${JSON.stringify(row ?? null)}`,
    );
  }
  return verdict;
}

/** Each row of each manifest has a prompt of its own. */
export function promptOf(batch: string, key: string): string {
  return `a shot of ${batch}, ${key}`;
}
