import type { TaskStatus } from './dialect.ts';
import { draw } from './random.ts';
import type { Settings, TaskLife } from './settings.ts';
import type { AcceptedCreate, AcceptRecord } from './record.ts';
import type { Rules } from './fault-rules.ts';

/** When a task runs, in milliseconds since 1970. */
export interface Span {
  startsAt: number;
  endsAt: number;
}

/** The vendor's reasons for a failed task. */
const FAIL_REASONS = ['CreationPolicyViolation', 'InternalServiceFailure', 'ImageDownloadFailure'] as const;

/** When a task runs, if a place is free at `free`. An expired task waits as long, and never starts. */
export function spanOf(acceptedAt: number, free: number, life: TaskLife): Span {
  const startsAt = Math.max(acceptedAt + life.queuedMs, free);
  return { startsAt, endsAt: startsAt + life.runningMs };
}

/** The state of a task at `now`. `number` decides the draws of the seed; `poll` counts from 1. */
export function statusOf(
  task: { number: number; span: Span; life: TaskLife },
  now: number,
  poll: number,
  seed: number,
): TaskStatus {
  const { span, life, number } = task;
  const ends = life.ends ?? (draw(seed, 'task-fails', number) < life.failureShare ? 'failed' : 'completed');
  if (now < span.startsAt || (ends === 'expired' && now < span.endsAt))
    return { status: 'queued', progress: 0 };
  if (now < span.endsAt) {
    const done = Math.floor((100 * (now - span.startsAt)) / (span.endsAt - span.startsAt));
    const back = life.backwards && poll % 2 === 0 ? 30 : 0;
    return { status: 'in_progress', progress: Math.max(0, done - back) };
  }
  if (ends === 'completed') {
    return { status: 'completed', progress: 100 };
  }
  const reason = FAIL_REASONS[Math.floor(draw(seed, 'fail-reason', number) * FAIL_REASONS.length)];
  return ends === 'expired'
    ? { status: 'expired', progress: 0, failReason: 'not done in time: cancelled and refunded' }
    : { status: 'failed', progress: 0, failReason: reason ?? FAIL_REASONS[0] };
}

/** One task in the provider's own list. */
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
  /** Polls since the simulator was started. */
  polls: number;
}

/** Plans when each accepted task runs. The plan follows from record, settings and rules. */
export class Tasks {
  readonly #record: AcceptRecord;
  readonly #rules: Rules;
  readonly #settings: () => Settings;
  readonly #seed: number;
  readonly #spans = new Map<string, Span>();
  readonly #polls = new Map<string, number>();
  /** Tasks whose end a poll has reported. */
  readonly #reported = new Set<string>();
  #planned = 0;
  /** Queue mode: when each place is free again. */
  #places: number[] = [];
  #unfinished: number[] = [];

  constructor(record: AcceptRecord, rules: Rules, settings: () => Settings, seed: number) {
    this.#record = record;
    this.#rules = rules;
    this.#settings = settings;
    this.#seed = seed;
  }

  /** Plans the course of every task again, after a change of settings or rules. */
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

  /** Counts a poll of this task; the first is 1. */
  poll(taskId: string): number {
    const poll = (this.#polls.get(taskId) ?? 0) + 1;
    this.#polls.set(taskId, poll);
    return poll;
  }

  status(create: AcceptedCreate, now: number, poll: number): TaskStatus {
    const { requestNumber: number } = create;
    return statusOf({ number, span: this.span(create), life: this.life(create) }, now, poll, this.#seed);
  }

  /** The status in a poll, which may change after the end was reported. `arrives`: the answer has no fault. */
  answer(create: AcceptedCreate, now: number, poll: number, arrives: boolean): TaskStatus | 'missing' {
    const life = this.life(create);
    const status = this.status(create, now, poll);
    const ended = status.status !== 'queued' && status.status !== 'in_progress';
    const { afterEnd } = life;
    if (ended && afterEnd !== null && this.#reported.has(create.taskId)) {
      return afterEnd === 'missing' ? afterEnd : { status: afterEnd, progress: 50 };
    }
    if (ended && arrives) this.#reported.add(create.taskId);
    return status;
  }

  /** Every task in the order of acceptance, also with a lost answer. */
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
