import type { ReadyBatch } from '../ledger/send/ready.ts';
import type { Chunk } from './queue/chunk.ts';

/** What the queue holds, and what it may hold. */
export interface Supply {
  /** Rows that one job may claim. */
  size: number;
  /** Rows for which jobs should wait: about a second of work. */
  ahead: number;
  /** Rows for which jobs wait, by batch. 0: a worker works on a job of this batch, and no other waits. */
  waiting: ReadonlyMap<number, number>;
}

/**
 * The jobs that fill the queue: the highest rank first, and the batches of one rank in turn. If only one row of a batch
 * may be in flight, it gets one job for one row. While a halted provider is being probed, there is only one job,
 * preferably for a batch with a row that has not caused a halt. A batch whose limits have no room gets a job only if no
 * other batch has rows.
 */
export function topUp(ready: readonly ReadyBatch[], { size, ahead, waiting }: Supply): Chunk[] {
  const probing = ready.some((batch) => batch.probing);
  if (probing) {
    if (waiting.size > 0) return [];
    const [first] = ready.toSorted((a, b) => Number(a.halted) - Number(b.halted));
    return first === undefined ? [] : [chunkOf(first, 1, false)];
  }
  const ranked = new Set(ready.map(({ rank }) => rank)).size > 1;
  const chunks: Chunk[] = [];
  let room = ahead - sum(waiting.values());
  const free = ready.filter(({ full }) => !full);
  const ranks = [...new Set((free.length > 0 ? free : ready).map(({ rank }) => rank))].sort((a, b) => b - a);
  for (const rank of ranks) {
    const batches = (free.length > 0 ? free : ready)
      .filter((batch) => batch.rank === rank)
      .map((batch) => ({ batch, left: leftOf(batch, waiting) }));
    while (room > 0 && batches.some(({ left }) => left > 0)) {
      for (const one of batches) {
        if (one.left <= 0 || room <= 0) continue;
        const rows = Math.min(size, one.left);
        chunks.push(chunkOf(one.batch, rows, ranked));
        one.left -= rows;
        room -= rows;
      }
    }
  }
  return chunks;
}

/** Rows of the batch that have no job yet. */
function leftOf(batch: ReadyBatch, waiting: ReadonlyMap<number, number>): number {
  const queued = waiting.get(batch.id);
  if (batch.alone || batch.full) return queued === undefined ? 1 : 0;
  return batch.rows - (queued ?? 0);
}

function chunkOf({ id, name, rank }: ReadyBatch, rows: number, ranked: boolean): Chunk {
  return { batch: id, name, rows, ...(ranked ? { rank } : {}) };
}

export function sum(numbers: Iterable<number>): number {
  let all = 0;
  for (const one of numbers) all += one;
  return all;
}
