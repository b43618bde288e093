import type { JournalLine } from '../../src/worker/journal/journal.ts';
import type { ModelLedger, Row } from './ledger/state.ts';
import type { World } from './world.ts';

/** Something that the promise rules out. */
export class Violation extends Error {}

/** States in which a row says that nobody accepted it, and from which it may be sent again. */
const UNPAID = ['pending', 'rejected', 'exhausted', 'cancelled', 'invalid'];

/** What holds after every step. */
export function checkAlways(world: World): void {
  const { ledger, wire, truth, latest, embedded, sameKey, isWholeLedger } = world;
  checkBudgets(world);
  for (const [id, taskIds] of wire.accepted) {
    if (truth.misjudged.has(id)) continue;
    if (taskIds.length > 1) throw new Violation(`row ${id} was paid twice: ${taskIds.join(', ')}`);
    const row = ledger.rows.get(id);
    // Where the provider honours the idempotency key, a row in doubt is sent again under the key that it had.
    if (row === undefined || (row.doubtful && sameKey !== undefined)) continue;
    if (isWholeLedger() && UNPAID.includes(row.state)) {
      throw new Violation(`row ${id} was accepted as ${taskIds.join()}, and is ${row.state}`);
    }
  }
  for (const row of ledger.rows.values()) {
    // Whoever opens an embedded ledger knows that nobody else is sending.
    if (row.state === 'uncertain' && !embedded) checkDeadline(ledger, row, latest);
    if (row.state === 'submitting' && row.attemptId !== null && !ledger.attempts.has(row.attemptId)) {
      throw new Violation(`row ${row.id} is in flight under an attempt that does not exist`);
    }
  }
}

/** What the provider has accepted costs no more than the budget, unless a person was wrong about a row. */
function checkBudgets({ ledger, wire, truth }: World): void {
  for (const { id, budget } of ledger.batches.values()) {
    const rows = [...ledger.rows.values()].filter(({ batchId }) => batchId === id);
    if (budget === null || rows.some((row) => truth.misjudged.has(row.id))) continue;
    const paid = rows.reduce(
      (sum, row) => sum + (row.price ?? 0) * (wire.accepted.get(row.id)?.length ?? 0),
      0,
    );
    if (paid > budget) throw new Violation(`batch ${id} has a budget of ${budget}, and ${paid} was paid`);
  }
}

/** Only the sweeper judges, and only after the deadline. */
function checkDeadline(ledger: ModelLedger, row: Row, latest: number): void {
  const attempt = ledger.attempts.get(row.attemptId ?? '');
  if (attempt === undefined || attempt.outcome !== null || attempt.deadline <= latest) return;
  // Its successor was heard of first, and leaves the row to it: nobody has judged this one.
  const isLast = [...ledger.attempts.values()].every(
    (one) => one.submissionId !== row.id || one.number <= attempt.number,
  );
  if (!isLast) return;
  throw new Violation(`row ${row.id} is uncertain before the deadline of its attempt`);
}

/** What nothing may lose, not even a power failure or a restored ledger. */
export function checkKept(world: World): void {
  const known = recordedTaskIds(world.ledger);
  const journals = journaledTaskIds(world);
  for (const taskId of world.truth.recorded) {
    if (!known.has(taskId)) throw new Violation(`${taskId} was recorded, and is not in the ledger`);
  }
  for (const taskId of world.truth.journaled) {
    if (!known.has(taskId) && !journals.has(taskId)) throw new Violation(`${taskId} was lost`);
  }
}

/** What holds once every machine has been started again and the last deadline has passed. */
export function checkSettled({ ledger, truth, weather }: World): void {
  const known = recordedTaskIds(ledger);
  for (const taskId of [...truth.journaled, ...truth.recorded]) {
    if (!known.has(taskId)) throw new Violation(`${taskId} had reached a worker, and is not in the ledger`);
  }
  for (const row of ledger.rows.values()) {
    const attempts = [...ledger.attempts.values()].filter((attempt) => attempt.submissionId === row.id);
    if (row.state === 'submitting') throw new Violation(`row ${row.id} is in flight for ever`);
    // A journal that is torn in the middle proves nothing.
    const torn = weather.diskFaults > 0;
    const mayHaveLeft =
      torn || attempts.some(({ id, worker }) => truth.intended.has(id) || truth.torn.has(worker));
    if (row.state === 'uncertain' && !mayHaveLeft) {
      throw new Violation(`row ${row.id} is uncertain, and never left its process`);
    }
    const accepted = attempts.filter(({ outcome }) => outcome === 'accepted');
    // A person and a late answer may bring the same one.
    const counted = new Set(accepted.filter(({ surplus }) => !surplus).map(({ taskId }) => taskId));
    if (counted.size > 1)
      throw new Violation(`row ${row.id} has ${[...counted].join(', ')}, none of them surplus`);
    if (accepted.length > 0 && (row.state !== 'submitted' || !counted.has(row.taskId))) {
      throw new Violation(`row ${row.id} has ${[...counted].join()} and is ${row.state} as ${row.taskId}`);
    }
  }
}

/** What holds once provider and ledger are well for long enough: nobody holds a slot that nobody will give back. */
export function checkFinished({ ledger }: World): void {
  for (const row of ledger.rows.values()) {
    if (row.state === 'pending' || row.state === 'submitting') {
      throw new Violation(`row ${row.id} is ${row.state}, and no worker can claim it`);
    }
  }
}

function taskIdOf(line: string): string[] {
  try {
    const { kind, outcome } = JSON.parse(line) as JournalLine & { outcome: { taskId: string } };
    return kind === 'answer' ? [outcome.taskId] : [];
  } catch {
    return [];
  }
}

/** Those that a replay can read: the line is whole. */
export function journaledTaskIds({ machines }: World): Set<string> {
  const lines = machines.flatMap(({ disk }) => disk.lines());
  return new Set(lines.filter((line) => line.includes('"taskId"')).flatMap(taskIdOf));
}

export function recordedTaskIds(ledger: ModelLedger): Set<string | null> {
  return new Set([
    ...[...ledger.attempts.values()].map(({ taskId }) => taskId),
    ...[...ledger.rows.values()].map(({ taskId }) => taskId),
  ]);
}
