import type { Recorded, Result } from '../result.ts';
import { decideBatch, type BatchChange } from './batch.ts';
import type { Facts } from './facts.ts';
import { decideProvider, type ProviderChange } from './provider.ts';
import { decideRows, taskIdOf, type Decided } from './row.ts';

/** What a group of answers means. */
export interface Decision {
  rows: readonly Decided[];
  batches: readonly BatchChange[];
  providers: readonly ProviderChange[];
  notes: readonly Note[];
}

/** What the states alone do not explain: kept in the event log. */
export interface Note {
  batchId: number;
  submissionId: number | null;
  event: 'stop' | 'accepted-late';
  detail: string;
}

/**
 * What answers mean for their rows, their batches and their providers. An answer is judged by its attempt, not by its
 * row: it is legal from `submitting` and, for late truth, from `uncertain`; and a task id is kept in every state of its
 * row. While a row is in doubt (another attempt of it may have been accepted), no refusal settles it.
 */
export function decide(facts: Facts, results: readonly Result[]): Decision {
  const rows = decideRows(facts, results);
  const byBatch = Map.groupBy(rows, ({ batch }) => batch);
  const byProvider = Map.groupBy(rows, ({ provider }) => provider);
  const batches = [...byBatch].flatMap(([batch, group]) => decideBatch(batch, group) ?? []);
  return {
    rows,
    batches,
    providers: [...byProvider].flatMap(
      ([provider, group]) => decideProvider(provider, group, facts.now) ?? [],
    ),
    notes: [...batches.flatMap(stopNote), ...rows.flatMap(lateNote)],
  };
}

/** What the callers of a record are told about each attempt. */
export function recordedOf({ rows, providers }: Decision): Recorded[] {
  const halted = new Set(providers.filter(({ state }) => state === 'halted').map(({ origin }) => origin));
  return rows.map(({ attempt, row, next, decides, surplus, known }) => ({
    attemptId: attempt.id,
    state: next,
    moved: decides && next !== row.state,
    surplus,
    known,
    halted: halted.has(attempt.origin),
  }));
}

function stopNote({ id, stop }: BatchChange): Note[] {
  return stop === undefined ? [] : [{ batchId: id, submissionId: null, event: 'stop', detail: stop.code }];
}

function lateNote({ surplus, settles, row, attempt, result }: Decided): Note[] {
  if (!surplus || settles) return [];
  const detail =
    `the earlier content of the row was accepted late, as attempt ${attempt.number}: task ${taskIdOf({ result })} is paid, ` +
    'and is not what the row asks for since it was edited';
  return [{ batchId: row.batchId, submissionId: row.id, event: 'accepted-late', detail }];
}
