import { hostname } from 'node:os';
import { randomUUID } from 'node:crypto';
import { isOutage } from '../../database/connection-errors.ts';
import { messageOf, VidbatchError } from '../../core/errors.ts';
import type { Database } from '../../database/database.ts';
import { grouped } from '../../core/group-commit.ts';
import {
  ensurePoller,
  releaseTasks,
  pollSoon,
  readNextPoll,
  takeTasks,
  type PollScope,
  type TakenTask,
} from '../../ledger/tasks/poll.ts';
import { recordPolls, type Polled } from '../../ledger/tasks/record-polls.ts';
import type { Logger } from '../../core/log.ts';
import { untilLedgerAnswers } from '../../database/outage.ts';
import { crashPoint } from '../../core/crash-points.ts';
import { judgePoll, POLL_PLAN, type PollPlan } from '../../core/poll-plan.ts';
import type { Asker } from '../../provider/asker.ts';
import { isFinal } from '../../core/task-status.ts';

export interface PollerOptions {
  db: Database;
  provider: Asker;
  /** Only tasks of these batches; null: of all. */
  batches: readonly number[] | null;
  /** Polls that this poller has open at a time. */
  concurrency: number;
  /** Milliseconds between two polls of all pollers together; no limit without it. */
  intervalMs?: number | undefined;
  /** Milliseconds for one whole answer. */
  timeoutMs: number;
  log: Logger;
  /** A function is called before each poll. */
  plan?: PollPlan | (() => PollPlan);
  random?: () => number;
  /**
   * `settled`: it ends when no task is open. `askedSince`, a moment of the database's clock: it ends when each due task
   * has been polled after it. By default it continues until it is stopped.
   */
  until?: 'settled' | { askedSince: string };
  onPolled?: (polled: Polled) => void;
}

export interface Poller {
  /** Resolves when nothing is left to ask, or after `stop`. Never rejects. */
  readonly ended: Promise<void>;
  /** Asks for every open task now, and then as the plan says. For rows that wait until a task ends. */
  hurry(): Promise<void>;
  /** Asks no more, waits for no answer, and gives back the tasks that it has taken. */
  stop(): Promise<void>;
}

/** For one whole answer. A poll costs nothing, so it may be repeated. */
export const POLL_TIMEOUT_MS = 30_000;
/** After the timeout, a task whose poller is dead is due again after this time. */
const LEASE_MARGIN_MS = 30_000;
/** The longest time between two looks, because rows may be accepted at any time. */
const LOOK_MS = 5_000;
const LEAST_PAUSE_MS = 20;
const FAILED_MS = 1_000;

/** Asks the provider for tasks when they are due, together with all other pollers of this ledger. */
export function startPoller(options: PollerOptions): Poller {
  return new TaskPoller(options);
}

class TaskPoller implements Poller {
  readonly ended: Promise<void>;
  readonly #of: PollerOptions;
  readonly #scope: PollScope;
  readonly #asker = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
  /** The poller ends when each due task has been polled after this moment. Null: there is no such end. */
  readonly #since: string | null;
  readonly #stopping = new AbortController();
  readonly #record: (polled: Polled) => Promise<boolean>;
  /** Tasks that this poller has taken and not asked for yet. */
  readonly #taken: { task: TakenTask; leavesAt: number }[] = [];
  readonly #asking = new Set<Promise<void>>();
  /** When to look for due tasks, by the monotonic clock. */
  #lookAt = 0;
  #wake: (() => void) | undefined;
  /** The log says already that polls are paused for a while. */
  #held = false;

  constructor(options: PollerOptions) {
    const { db, provider, batches, until } = options;
    this.#of = options;
    this.#scope = { origin: provider.origin, batches };
    this.#since = typeof until === 'object' ? until.askedSince : null;
    this.#record = grouped((polls: readonly Polled[]) => recordPolls(db, provider.origin, polls));
    this.ended = this.#run();
  }

  async hurry(): Promise<void> {
    const { db, log } = this.#of;
    await pollSoon(db, this.#scope.origin).catch((error: unknown) => logFailure(error, log));
    this.#lookAt = 0;
    this.#wake?.();
  }

  stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake?.();
    return this.ended;
  }

  async #run(): Promise<void> {
    await this.#loop().catch((error: unknown) => logFailure(error, this.#of.log));
    await this.#giveBack();
    await Promise.all(this.#asking);
  }

  async #loop(): Promise<void> {
    const { db, until, log } = this.#of;
    const { signal } = this.#stopping;
    await untilLedgerAnswers('poller', log, () => ensurePoller(db, this.#scope.origin), signal);
    while (!signal.aborted) {
      const idle = this.#open() === 0;
      if (this.#hasRoom() && (performance.now() >= this.#lookAt || (idle && until !== undefined))) {
        try {
          const more = await this.#look();
          if (!more && until !== undefined) return;
        } catch (error) {
          this.#lookAt = performance.now() + FAILED_MS;
          logFailure(error, log);
        }
      }
      this.#startDue();
      if (!signal.aborted) await this.#pause();
    }
  }

  /** Takes the tasks that are due, and decides when to look again. False: nothing is left to wait for. */
  async #look(): Promise<boolean> {
    const { db, concurrency, intervalMs = null, timeoutMs } = this.#of;
    const room = 2 * concurrency - this.#open();
    const tasks = await takeTasks(db, this.#scope, {
      asker: this.#asker,
      room,
      intervalMs,
      leaseMs: timeoutMs + LEASE_MARGIN_MS,
      ...this.#due(),
    });
    const now = performance.now();
    this.#taken.push(...tasks.map((task) => ({ task, leavesAt: now + task.waitMs })));
    this.#lookAt = now;
    if (tasks.length === room) return true;
    this.#lookAt += LOOK_MS;
    const dueMs = await readNextPoll(db, this.#scope, this.#due());
    if (dueMs !== undefined) this.#lookIn(Math.max(dueMs, LEAST_PAUSE_MS));
    return dueMs !== undefined || this.#open() > 0;
  }

  /** Which tasks are due. With `askedSince`, new tasks are also polled at once. */
  #due(): { firstMs: number; before: string | null } {
    return { firstMs: this.#since === null ? this.#plan().firstMs : 0, before: this.#since };
  }

  #plan(): PollPlan {
    const { plan = POLL_PLAN } = this.#of;
    return typeof plan === 'function' ? plan() : plan;
  }

  #lookIn(ms: number): void {
    this.#lookAt = Math.min(this.#lookAt, performance.now() + ms);
  }

  /** Tasks that are taken or being polled. */
  #open(): number {
    return this.#asking.size + this.#taken.length;
  }

  /** As many tasks are taken ahead as are being polled, so that no poll waits for the ledger. */
  #hasRoom(): boolean {
    return this.#open() <= this.#of.concurrency;
  }

  /** Starts the polls that may leave now. */
  #startDue(): void {
    const now = performance.now();
    for (;;) {
      const [first] = this.#taken;
      if (first === undefined || first.leavesAt > now || this.#asking.size >= this.#of.concurrency) return;
      this.#taken.shift();
      const asked: Promise<void> = this.#ask(first.task)
        .catch((error: unknown) => logFailure(error, this.#of.log))
        .finally(() => {
          this.#asking.delete(asked);
          this.#wake?.();
        });
      this.#asking.add(asked);
    }
  }

  async #ask(task: TakenTask): Promise<void> {
    const { db, provider, log, random = Math.random, onPolled } = this.#of;
    const { signal } = this.#stopping;
    const { taskId, profileId, queryUrl } = task;
    const report = await provider.query(taskId, { profileId, queryUrl, signal });
    crashPoint('task-asked');
    if (report.kind === 'transient' && signal.aborted) return releaseTasks(db, [task], { asked: true });
    const verdict = judgePoll(task, report, { random, plan: this.#plan() });
    const polled = { task, verdict };
    if (verdict.kind === 'unanswered' && verdict.holdMs > 0) await this.#giveBack();
    // If this process ends first, the lease ends, and the task is polled again.
    const recorded = await untilLedgerAnswers('poll', log, () => this.#record(polled), signal);
    crashPoint('task-recorded');
    logPolled(log, polled, { recorded, held: this.#held });
    this.#held = verdict.kind === 'unanswered' && (this.#held || verdict.holdMs > 0);
    onPolled?.(polled);
    if ('nextMs' in verdict && verdict.nextMs !== null) this.#lookIn(verdict.nextMs);
  }

  /** Gives back the tasks that are taken and not asked for. */
  async #giveBack(): Promise<void> {
    const rest = this.#taken.splice(0).map(({ task }) => task);
    if (rest.length > 0) await releaseTasks(this.#of.db, rest).catch(() => undefined);
  }

  /** Waits until an answer comes, a poll may leave, or it is time to look. */
  async #pause(): Promise<void> {
    const now = performance.now();
    const leavesAt =
      this.#asking.size < this.#of.concurrency ? (this.#taken[0]?.leavesAt ?? Infinity) : Infinity;
    const ms = Math.min(leavesAt, this.#hasRoom() ? this.#lookAt : Infinity, now + LOOK_MS) - now;
    if (ms <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }
}

function logFailure(error: unknown, log: Logger): void {
  // The connection logs an outage once. A folder whose holder is gone is logged by the code that waits for the next holder.
  const toldElsewhere = isOutage(error) || (error instanceof VidbatchError && error.code === 'HOLDER_GONE');
  log[toldElsewhere ? 'debug' : 'warn'](
    { event: 'poll-failed', error: messageOf(error) },
    'polling failed; trying again',
  );
}

/** Logs what a person wants to know of a poll. The other lines are for debugging. */
function logPolled(
  log: Logger,
  { task, verdict }: Polled,
  { recorded, held }: { recorded: boolean; held: boolean },
): void {
  const told = { taskId: task.taskId, submission: task.submissionId, poll: task.poll };
  if (!recorded) {
    log.debug({ event: 'poll-late', ...told }, 'a task was answered after its lease: another worker asks');
    return;
  }
  switch (verdict.kind) {
    case 'said': {
      const { status } = verdict.report;
      const event = isFinal(status) ? 'task-ended' : 'task-open';
      log.debug({ event, ...told, status }, `a task is ${status}`);
      return;
    }
    case 'missed':
      if (verdict.missing && task.status !== 'missing')
        log.warn({ event: 'task-missing', ...told }, 'the provider does not know this task');
      return;
    case 'otherwise':
      if (verdict.news)
        log.warn(
          { event: 'task-otherwise', ...told, was: task.status, status: verdict.status },
          'the provider has changed the final status of a task',
        );
      return;
    case 'unanswered':
      if (verdict.holdMs > 0)
        log[held ? 'debug' : 'warn'](
          { event: 'polls-held', ms: Math.round(verdict.holdMs), problem: verdict.problem },
          'no task is polled for a while',
        );
      else log.debug({ event: 'poll-unanswered', ...told, problem: verdict.problem }, 'no answer for a task');
  }
}
