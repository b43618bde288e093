import type { AppJob } from '@bull-board/api/typings/app';
import type { Glance } from '../ledger/read/glance.ts';
import { rowOf } from '../worker/queue/queue.ts';
import type { JobData } from '../worker/queue/queue.ts';

/** A job as Bull Board is about to show it, with what the ledger says of its row. */
export function jobOfRow(job: AppJob, row: Glance | undefined): AppJob {
  const submission = rowOf(job.data);
  if (submission === undefined && isTick(job.data)) {
    return { ...job, externalUrl: { displayText: 'schedules', href: '/schedules' } };
  }
  if (submission === undefined) return { ...job, name: `${job.name} · names no row` };
  if (row === undefined) return job;
  const { preview } = job.data as JobData;
  return {
    ...job,
    name: titleOf(row),
    // What people look for comes first; Postgres keeps the keys of JSON by their length.
    data: {
      row: standing(row),
      batch: row.batch,
      key: row.key,
      line: row.line,
      mode: row.mode,
      model: row.model,
      prompt: preview,
      submission,
    },
    externalUrl: { displayText: 'row in the ledger', href: rowPath(row.id) },
  };
}

/** The next tick of a schedule, as it is mirrored: of no row. */
function isTick(data: unknown): boolean {
  return typeof data === 'object' && data !== null && 'schedule' in data && 'tick' in data;
}

export function rowPath(id: number): string {
  return `/rows/${id}`;
}

/** `text · spring/row-17`: a job's own name is its mode, which says little in a list of a thousand. */
function titleOf({ mode, batch, key, line, state }: Glance): string {
  // A key made of a hash says less than the line does.
  const row = key.startsWith('h1:') ? `${batch}, line ${line}` : `${batch}/${key}`;
  return `${mode ?? 'row'} · ${row} · ${state}`;
}

/** `submitted, task task_9 (completed)`, `rejected, TaskPromptPolicyViolation`, `pending, queued` */
function standing(row: Glance): string {
  const parts: string[] = [row.state];
  if (row.state === 'pending' && row.queued) parts.push('queued');
  if (row.taskId !== null) {
    parts.push(`task ${row.taskId}${row.providerStatus === null ? '' : ` (${row.providerStatus})`}`);
  }
  if (row.errorCode !== null) parts.push(row.errorCode);
  return parts.join(', ');
}
