import type { TaskReport } from '../core/outcome.ts';
import type { Profile } from './profile/schema.ts';

type TaskStatus = Extract<TaskReport, { kind: 'task' }>['status'];

const STATUSES = ['queued', 'in_progress', 'completed', 'failed'] as const;

/** The words of a provider for a task's status, in any case. A task with another word is polled again. */
export class TaskWords {
  readonly #statuses: ReadonlyMap<string, TaskStatus>;
  readonly #doubtful: ReadonlySet<string>;

  constructor({ words, doubtful }: Profile['task']) {
    this.#statuses = new Map(STATUSES.flatMap((status) => words[status].map((word) => [word, status])));
    this.#doubtful = new Set(doubtful);
  }

  statusOf(written: string): TaskStatus {
    return this.#statuses.get(written.trim().toLowerCase()) ?? 'unknown';
  }

  /** The word in a status field: any text, and a number or a boolean that is one of the words. */
  wordOf(value: unknown): string | undefined {
    if (typeof value === 'string') return value;
    if (typeof value !== 'number' && typeof value !== 'bigint' && typeof value !== 'boolean')
      return undefined;
    return this.#statuses.has(String(value)) ? String(value) : undefined;
  }

  /** It may also mean a failed request: it counts only if the answer names a task. */
  isDoubtful(written: string): boolean {
    return this.#doubtful.has(written.trim().toLowerCase());
  }
}
