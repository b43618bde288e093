import type { AppJob } from '@bull-board/api/typings/app';
import { chunkOf } from '../worker/queue/chunk.ts';
import type { ChunkData, TookRow } from '../worker/queue/chunk.ts';
import { batchPath } from './page.ts';

/** A job as Bull Board is about to show it, with a link to where its rows are. Its rows are lines: it folds objects. */
export function jobOf(job: AppJob): AppJob {
  if (isTick(job.data)) return { ...job, externalUrl: { displayText: 'schedules', href: '/schedules' } };
  if (chunkOf(job.data) === undefined) return { ...job, name: `${job.name} · names no batch` };
  const { took, ...rest } = job.data as ChunkData;
  return {
    ...job,
    data: { ...rest, ...(Array.isArray(took) ? { took: took.map(lineOf) } : {}) },
    externalUrl: { displayText: 'batch in the ledger', href: batchPath(job.name) },
  };
}

function lineOf(row: Partial<TookRow> | null): string {
  return `${row?.key}: ${row?.prompt}`;
}

/** The next tick of a schedule, as it is mirrored: of no batch. */
function isTick(data: unknown): boolean {
  return typeof data === 'object' && data !== null && 'schedule' in data && 'tick' in data;
}

export function rowPath(id: number): string {
  return `/rows/${id}`;
}
