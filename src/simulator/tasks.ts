import type { AcceptedCreate, AcceptRecord } from './record.ts';
import type { Rules } from './rule.ts';
import type { Settings, TaskLife } from './settings.ts';
import { type Span, spanOf, statusOf, type TaskStatus } from './task.ts';

/** One line of the provider's own task list, from which a bill can be drawn up. */
export interface ListedTask {
  taskId: string;
  /** Milliseconds since 1970. */
  createdAt: number;
  prompt: string;
  model: unknown;
  duration: unknown;
  status: TaskStatus['status'];
  failReason?: string;
  startsAt: number;
  endsAt: number;
  answered: AcceptedCreate['answered'];
  requestNumber: number;
  /** Questions about it since the stand-in was started. */
  polls: number;
}

/**
 * When each accepted task runs. Nothing here is state of its own: the plan follows from the record, the
 * settings and the rules, and is made again from the beginning when one of the latter changes.
 */
export class Tasks {
  readonly #record: AcceptRecord;
  readonly #rules: Rules;
  readonly #settings: () => Settings;
  readonly #seed: number;
  readonly #spans = new Map<string, Span>();
  readonly #polls = new Map<string, number>();
  /** Whose end a poll has told of. */
  readonly #told = new Set<string>();
  #planned = 0;
  /** With a cap in queue mode: for each place, when it is free again. */
  #places: number[] = [];
  #unfinished: number[] = [];

  constructor(record: AcceptRecord, rules: Rules, settings: () => Settings, seed: number) {
    this.#record = record;
    this.#rules = rules;
    this.#settings = settings;
    this.#seed = seed;
  }

  /** To be called when settings or rules have changed. */
  replan(): void {
    this.#spans.clear();
    this.#planned = 0;
    this.#places = [];
    this.#unfinished = [];
  }

  /** Tasks that are queued or running at `now`. */
  unfinished(now: number): number {
    this.#plan();
    this.#unfinished = this.#unfinished.filter((endsAt) => endsAt > now);
    return this.#unfinished.length;
  }

  life(create: AcceptedCreate): TaskLife {
    return { ...this.#settings().task, ...this.#rules.life(create.body.prompt) };
  }

  /** Counts a question about this task; the first is 1. */
  poll(taskId: string): number {
    const poll = (this.#polls.get(taskId) ?? 0) + 1;
    this.#polls.set(taskId, poll);
    return poll;
  }

  status(create: AcceptedCreate, now: number, poll: number): TaskStatus {
    const { requestNumber: number } = create;
    return statusOf({ number, span: this.span(create), life: this.life(create) }, now, poll, this.#seed);
  }

  /** What a poll says of it, which may be otherwise once its end has been told. `arrives`: unspoilt. */
  answer(create: AcceptedCreate, now: number, poll: number, arrives: boolean): TaskStatus | 'missing' {
    const life = this.life(create);
    const status = this.status(create, now, poll);
    const ended = status.status !== 'queued' && status.status !== 'in_progress';
    const { afterEnd } = life;
    if (ended && afterEnd !== null && this.#told.has(create.taskId)) {
      return afterEnd === 'missing' ? afterEnd : { status: afterEnd, progress: 50 };
    }
    if (ended && arrives) this.#told.add(create.taskId);
    return status;
  }

  /** Every task, those included whose answer was lost, in the order of acceptance. */
  list(now: number): ListedTask[] {
    return this.#record.entries.map((create) => {
      const { status, failReason } = this.status(create, now, 1);
      return {
        taskId: create.taskId,
        createdAt: create.at,
        prompt: create.body.prompt,
        model: create.body['model'],
        duration: create.body['duration'] ?? 5,
        status,
        ...(failReason === undefined ? {} : { failReason }),
        ...this.span(create),
        answered: create.answered,
        requestNumber: create.requestNumber,
        polls: this.#polls.get(create.taskId) ?? 0,
      };
    });
  }

  span(create: AcceptedCreate): Span {
    this.#plan();
    return this.#spans.get(create.taskId) ?? spanOf(create.at, 0, this.life(create));
  }

  #plan(): void {
    const { runningTasks } = this.#settings();
    const limit = runningTasks?.mode === 'queue' ? runningTasks.limit : 0;
    for (const create of this.#record.entries.slice(this.#planned)) {
      const place = this.#places.length < limit ? this.#places.length : earliest(this.#places);
      const span = spanOf(create.at, this.#places[place] ?? 0, this.life(create));
      if (limit > 0) this.#places[place] = span.endsAt;
      this.#spans.set(create.taskId, span);
      this.#unfinished.push(span.endsAt);
    }
    this.#planned = this.#record.entries.length;
  }
}

function earliest(times: readonly number[]): number {
  return times.reduce((best, time, index) => (time < (times[best] ?? Infinity) ? index : best), 0);
}
