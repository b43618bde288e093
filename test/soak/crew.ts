import { setTimeout as sleep } from 'node:timers/promises';
import type { Ended, Cli, Running } from '../cli.ts';
import { armed } from '../crash/arm.ts';
import type { Fate, Plan } from './plan.ts';
import { witnessed } from './witness.ts';

/** What the workers of a round went through. */
export interface Losses {
  /** Killed at a named point. */
  atPoint: number;
  /** Killed at any moment, while at work. */
  anywhere: number;
  /** Ended by themselves, in a way that a worker may while its servers are away: how often, by error code. */
  gaveUp: Map<string, number>;
  /** Ended by themselves in any other way. */
  surprises: string[];
}

/** Keeps as many workers at work as the plan says: whoever dies is followed by the next. */
export interface Crew {
  losses: Losses;
  /** Numbers of the processes that are no more. */
  dead: () => number[];
  /** The `which`-th of those at work; waits a little while none is. */
  kill: (which: number) => Promise<void>;
  freeze: (which: number, ms: number) => void;
  /** One more, beyond the plan. */
  hire: () => void;
  /** How many have fallen asleep at their point, so far. */
  asleep: () => number;
  /** Those asleep go on. */
  wake: () => void;
  /** All are killed, and none is started before this is over. */
  away: (meanwhile: () => Promise<void>) => Promise<void>;
  /** No more are started; those alive are ended. */
  stop: (signal: 'SIGTERM' | 'SIGKILL') => Promise<void>;
}

interface Post {
  running: Running;
  atWork: boolean;
}

/** What a worker may say when it gives up at its start: it cannot reach a server, or the folder is not free yet. */
const MAY_GIVE_UP = [
  'LEDGER_UNREACHABLE',
  'LEDGER_LOADING',
  'QUEUE_UNREACHABLE',
  'QUEUE_LOADING',
  'CONNECTION_LOST',
  'FOLDER_HELD',
];
/** For so long a kill waits for somebody to be at work. */
const BUSY_MS = 5_000;
const STOP_MS = 45_000;

/** What sends rows, and in which circumstances. */
export interface Station {
  cli: Cli;
  plan: Pick<Plan, 'workers' | 'concurrency' | 'timeoutMs' | 'fates'>;
  witness: string;
  /** The environment of a guard taken out, for tests of the soak itself. */
  broken: Record<string, string>;
}

export function startCrew({ cli, plan, witness, broken }: Station): Crew {
  const losses: Losses = { atPoint: 0, anywhere: 0, gaveUp: new Map(), surprises: [] };
  const fates = plan.fates.values();
  const posts = new Map<number, Post>();
  const dead: number[] = [];
  const stopping = new AbortController();
  let asleep = 0;
  let back = Promise.resolve();

  async function keep(slot: number): Promise<void> {
    while (!stopping.signal.aborted) {
      await back;
      const fate = fates.next().value ?? null;
      const running = cli.start(workArgs(plan), { env: environment([witnessed(witness), broken], fate) });
      const post: Post = { running, atWork: false };
      posts.set(slot, post);
      running.says(/"event":"started"/).then(
        () => (post.atWork = true),
        () => undefined,
      );
      running.says(/^stopped at /).then(
        () => (asleep += 1),
        () => undefined,
      );
      const ended = await running.ended;
      posts.delete(slot);
      dead.push(running.pid);
      account(ended, post.atWork, losses);
      // It could not begin: its servers need a moment.
      if (ended.signal === null && !stopping.signal.aborted) await sleep(300);
    }
  }

  const kept = Array.from({ length: plan.workers }, (_, slot) => keep(slot));

  function atWork(which: number): Post | undefined {
    const busy = [...posts.values()].filter((post) => post.atWork);
    return busy[which % busy.length];
  }

  return {
    losses,
    dead: () => dead,
    async kill(which) {
      const until = performance.now() + BUSY_MS;
      while (atWork(which) === undefined && performance.now() < until) await sleep(50);
      atWork(which)?.running.kill('SIGKILL');
    },
    hire: () => void kept.push(keep(kept.length)),
    asleep: () => asleep,
    wake() {
      for (const { running } of posts.values()) running.kill('SIGCONT');
    },
    async away(meanwhile) {
      const over = Promise.withResolvers<void>();
      back = over.promise;
      const last = [...posts.values()];
      for (const { running } of last) running.kill('SIGKILL');
      await Promise.all(last.map(({ running }) => running.ended));
      try {
        await meanwhile();
      } finally {
        over.resolve();
      }
    },
    freeze(which, ms) {
      const post = atWork(which);
      post?.running.kill('SIGSTOP');
      setTimeout(() => post?.running.kill('SIGCONT'), ms);
    },
    async stop(signal) {
      stopping.abort();
      const last = [...posts.values()];
      // SIGTERM is for those that listen to it; one that is about to start would die of it like of any other signal.
      for (const { running, atWork: listens } of last) {
        running.kill('SIGCONT');
        running.kill(listens ? signal : 'SIGKILL');
      }
      const timer = setTimeout(() => {
        losses.surprises.push(`a worker did not end within ${STOP_MS / 1000} s of ${signal}`);
        for (const { running } of last) running.kill('SIGKILL');
      }, STOP_MS);
      await Promise.all(kept);
      clearTimeout(timer);
    },
  };
}

export function workArgs(plan: Pick<Plan, 'concurrency' | 'timeoutMs'>): string[] {
  return ['work', '--concurrency', `${plan.concurrency}`, '--timeout', `${plan.timeoutMs}ms`];
}

/** Several preloads make one NODE_OPTIONS. */
export function environment(
  parts: readonly Record<string, string>[],
  fate: Fate | null = null,
): Record<string, string> {
  const all = fate === null ? parts : [...parts, armed(fate)];
  const options = all.flatMap((part) => part['NODE_OPTIONS'] ?? []).join(' ');
  return { ...Object.assign({}, ...all), NODE_OPTIONS: options } as Record<string, string>;
}

function account({ code, signal, stderr, command }: Ended, atWork: boolean, losses: Losses): void {
  if (signal === 'SIGKILL') {
    if (/^killed at /m.test(stderr)) losses.atPoint += 1;
    else if (atWork) losses.anywhere += 1;
    return;
  }
  // Told to end, it did: 5 says that a row was left uncertain.
  if (code === 0 || code === 5) return;
  const [, error = ''] = /^vidbatch: .*\[([A-Z_]+)\]$/m.exec(stderr) ?? [];
  if (!atWork && MAY_GIVE_UP.includes(error)) {
    losses.gaveUp.set(error, (losses.gaveUp.get(error) ?? 0) + 1);
  } else losses.surprises.push(`\`${command}\` ended with ${signal ?? code}: ${stderr.slice(-1500)}`);
}
