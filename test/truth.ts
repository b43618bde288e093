import type { State } from '../src/core/states.ts';
import type { AcceptedCreate } from '../src/simulator/record.ts';

/** What `export --format jsonl` says of a row, as far as the truth needs it. */
export interface ExportedRow {
  row_key: string;
  state: State;
  task_id: string | null;
  request: { prompt: string };
}

/** What a batch came to, told by the record of the simulator and not by the program under test. */
export interface Truth {
  rows: number;
  /** Creates that the simulator accepted. */
  accepted: number;
  /** Prompts that were accepted more than once. */
  acceptedTwice: string[];
  /** Rows of the manifest that the ledger does not show. */
  rowsLost: string[];
  /** Accepted, and the ledger would send them again, or says that they were never accepted. */
  forgotten: string[];
  /** The ledger's task id is not one that the simulator gave for this row. */
  wrongTaskId: string[];
  /** Accepted, answered in full, and yet unknown: the task id was lost on its way into the ledger, or with a process. */
  uncertainAccepted: string[];
  /** Uncertain, and the simulator never accepted them. */
  uncertainNotAccepted: string[];
  /** In flight still. */
  stuck: string[];
}

/** Compares what the ledger exports with what the simulator accepted. Each row of the manifest has a prompt of its own. */
export function compareWithTruth(
  prompts: readonly string[],
  exported: readonly ExportedRow[],
  accepted: readonly AcceptedCreate[],
): Truth {
  const byPrompt = new Map(exported.map((row) => [row.request.prompt, row]));
  const tasks = Map.groupBy(accepted, ({ body }) => body.prompt);
  const truth: Truth = {
    rows: prompts.length,
    accepted: accepted.length,
    acceptedTwice: [],
    rowsLost: [],
    forgotten: [],
    wrongTaskId: [],
    uncertainAccepted: [],
    uncertainNotAccepted: [],
    stuck: [],
  };
  for (const prompt of prompts) {
    const row = byPrompt.get(prompt);
    const given = tasks.get(prompt) ?? [];
    if (given.length > 1) truth.acceptedTwice.push(prompt);
    if (row === undefined) {
      truth.rowsLost.push(prompt);
      continue;
    }
    if (row.state === 'submitting') truth.stuck.push(prompt);
    else if (row.state === 'uncertain') {
      (given.length > 0 ? truth.uncertainAccepted : truth.uncertainNotAccepted).push(prompt);
    } else if (row.state === 'submitted') {
      if (!given.some(({ taskId }) => taskId === row.task_id)) truth.wrongTaskId.push(prompt);
    } else if (given.length > 0 && row.state !== 'abandoned') truth.forgotten.push(prompt);
  }
  return truth;
}

/** What no fault and no kill may ever cause. Empty lists, all of them, or the promise is broken. */
export function violations(truth: Truth): Partial<Truth> {
  const { acceptedTwice, rowsLost, forgotten, wrongTaskId, stuck } = truth;
  return Object.fromEntries(
    Object.entries({ acceptedTwice, rowsLost, forgotten, wrongTaskId, stuck }).filter(
      ([, prompts]) => prompts.length > 0,
    ),
  );
}
