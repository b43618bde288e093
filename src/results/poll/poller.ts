import { hostname } from 'node:os';
import { randomUUID } from 'node:crypto';
import { isOutage } from '../../database/connection-errors.ts';
import { messageOf, VidbatchError } from '../../core/errors.ts';
import type { Database } from '../../database/database.ts';
import { grouped } from '../../core/group-commit.ts';
import { ensurePoller, releaseTasks, pollSoon, readNextPoll, takeTasks } from '../../ledger/tasks/poll.ts';
import type { TakenTask } from '../../ledger/tasks/poll.ts';
import { recordPolls } from '../../ledger/tasks/record-polls.ts';
import type { Polled } from '../../ledger/tasks/record-polls.ts';
import type { Logger } from '../../core/log.ts';
import { untilLedgerAnswers } from '../../database/outage.ts';
import { crashPoint } from '../../core/crash-points.ts';
import { judgePoll, POLL_PLAN } from '../../core/poll-plan.ts';
import type { PollPlan } from '../../core/poll-plan.ts';
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
  const { db, provider, concurrency, log, until, plan: planned = POLL_PLAN, random = Math.random } = options;
  const { origin } = provider;
  const scope = { origin, batches: options.batches };
  const asker = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
  const since = typeof until === 'object' ? until.askedSince : null;
  // With `askedSince`, new tasks are also polled at once.
  const plan = (): PollPlan => (typeof planned === 'function' ? planned() : planned);
  const firstMs = (): number => (since === null ? plan().firstMs : 0);
  const leaseMs = options.timeoutMs + LEASE_MARGIN_MS;
  const stopping = new AbortController();
  const { signal } = stopping;
  const record = grouped((polls: readonly Polled[]) => recordPolls(db, origin, polls));
  const taken: { task: TakenTask; leavesAt: number }[] = [];
  const asking = new Set<Promise<void>>();
  let wake: (() => void) | undefined;
  /** The log says already that polls are paused for a while. */
  let held = false;

  let lookAt = 0;

  function lookIn(ms: number): void {
    lookAt = Math.min(lookAt, performance.now() + ms);
  }

  /** Takes the tasks that are due and sets `lookAt`. False: nothing is left to wait for. */
  async function look(room: number): Promise<boolean> {
    const tasks = await takeTasks(db, scope, {
      asker,
      room,
      intervalMs: options.intervalMs ?? null,
      leaseMs,
      firstMs: firstMs(),
      before: since,
    });
    const now = performance.now();
    taken.push(...tasks.map((task) => ({ task, leavesAt: now + task.waitMs })));
    lookAt = now;
    if (tasks.length === room) return true;
    lookAt += LOOK_MS;
    const dueMs = await readNextPoll(db, scope, { firstMs: firstMs(), before: since });
    if (dueMs !== undefined) lookIn(Math.max(dueMs, LEAST_PAUSE_MS));
    return dueMs !== undefined || asking.size + taken.length > 0;
  }

  async function ask(task: TakenTask): Promise<void> {
    const report = await provider.query(task.taskId, {
      profileId: task.profileId,
      queryUrl: task.queryUrl,
      signal,
    });
    crashPoint('task-asked');
    if (report.kind === 'transient' && signal.aborted) return releaseTasks(db, [task], { asked: true });
    const polled = { task, verdict: judgePoll(task, report, { random, plan: plan() }) };
    if (polled.verdict.kind === 'unanswered' && polled.verdict.holdMs > 0) await giveBack();
    // If this process ends first, the lease ends, and the task is polled again.
    const recorded = await untilLedgerAnswers('poll', log, () => record(polled), signal);
    crashPoint('task-recorded');
    const { verdict } = polled;
    logPolled(log, polled, { recorded, held });
    held = verdict.kind === 'unanswered' && (held || verdict.holdMs > 0);
    options.onPolled?.(polled);
    if ('nextMs' in verdict && verdict.nextMs !== null) lookIn(verdict.nextMs);
  }

  async function giveBack(): Promise<void> {
    const rest = taken.splice(0).map(({ task }) => task);
    if (rest.length > 0) await releaseTasks(db, rest).catch(() => undefined);
  }

  function startDue(): void {
    const now = performance.now();
    while (asking.size < concurrency && taken[0] !== undefined && taken[0].leavesAt <= now) {
      const [{ task }] = taken.splice(0, 1) as [(typeof taken)[0]];
      const asked: Promise<void> = ask(task)
        .catch((error: unknown) => logFailure(error, log))
        .finally(() => {
          asking.delete(asked);
          wake?.();
        });
      asking.add(asked);
    }
  }

  /** Waits until an answer comes, a poll may leave, or it is time to look. */
  async function pause(): Promise<void> {
    const now = performance.now();
    const leavesAt = asking.size < concurrency ? (taken[0]?.leavesAt ?? Infinity) : Infinity;
    const ms = Math.min(leavesAt, hasRoom() ? lookAt : Infinity, now + LOOK_MS) - now;
    if (ms <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    wake = undefined;
  }

  /** As many tasks are taken ahead as are being polled, so that no poll waits for the ledger. */
  function hasRoom(): boolean {
    return asking.size + taken.length <= concurrency;
  }

  async function loop(): Promise<void> {
    await untilLedgerAnswers('poller', log, () => ensurePoller(db, origin), signal);
    while (!signal.aborted) {
      const idle = asking.size + taken.length === 0;
      if (hasRoom() && (performance.now() >= lookAt || (idle && until !== undefined))) {
        try {
          const more = await look(2 * concurrency - asking.size - taken.length);
          if (!more && until !== undefined) return;
        } catch (error) {
          lookAt = performance.now() + FAILED_MS;
          logFailure(error, log);
        }
      }
      startDue();
      if (!signal.aborted) await pause();
    }
  }

  async function run(): Promise<void> {
    await loop().catch((error: unknown) => logFailure(error, log));
    await giveBack();
    await Promise.all(asking);
  }

  const ended = run();
  return {
    ended,
    async hurry() {
      await pollSoon(db, origin).catch((error: unknown) => logFailure(error, log));
      lookAt = 0;
      wake?.();
    },
    stop() {
      stopping.abort();
      wake?.();
      return ended;
    },
  };
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
