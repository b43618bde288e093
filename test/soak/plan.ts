import type { Point } from '../../src/core/crash-points.ts';
import { randomOf, type Random } from '../simulation/random.ts';
import type { Passage } from './proxy.ts';

export const STORAGES = ['redis+postgres', 'postgres', 'embedded', 'redis+embedded'] as const;
export type Storage = (typeof STORAGES)[number];

export type Service = 'redis' | 'postgres' | 'provider';

/** Where and when a process is to die, or to fall asleep: at the `time`-th arrival at a point. */
export interface Fate {
  point: Point;
  time: number;
  signal?: 'SIGSTOP';
}

/** What an aimed plan waits for, instead of a time. */
export type Sight =
  | 'every sleeper is asleep'
  | 'every fate is met'
  /** As there are sleepers. */
  | 'as many rows are uncertain'
  /** Than those that the dead and the sleepers had in hand. */
  | 'all others were accepted'
  | 'no job waits';

/** One thing that is done to the system, or by an operator, while it works. `which` counts manifests or workers. */
export type Deed =
  | { do: 'kill-worker'; which: number }
  | { do: 'freeze-worker'; which: number; ms: number }
  /** A producer brings its manifest in once more, and dies at the point, or after so many milliseconds. */
  | { do: 'kill-producer'; which: number; at: Fate | number }
  | { do: 'kill-server'; server: 'redis' | 'postgres'; downMs: number }
  | { do: 'flush' }
  | { do: 'partition'; of: Service; how: Exclude<Passage, 'pass'> | 'reset'; ms: number }
  | { do: 'weather'; faults: readonly string[] }
  /** What Bull Board's buttons do: every job that the queue still knows is there once more. */
  | { do: 'duplicate-jobs' }
  /** For what dead workers had in flight, or all: nobody waits a minute for deadlines. */
  | { do: 'deadlines-pass'; of: 'dead' | 'all' }
  | { do: 'wait'; until: Sight }
  /** One worker more. */
  | { do: 'hire' }
  /** Those asleep go on. */
  | { do: 'wake' }
  /** All workers are killed, and the ledger is copied; or the last copy takes its place, as after a backup. */
  | { do: 'copy-ledger' }
  | { do: 'restore-ledger' }
  | { do: 'operator'; command: Command; which: number };

export type Command =
  | 'pause'
  | 'resume'
  | 'resume-all'
  | 'cancel-and-retry'
  | 'retry'
  | 'settle'
  | 'status'
  | 'export'
  | 'reconcile';

export type Step = { afterMs: number } & Deed;

/** Everything that is chosen for one round. It follows from the seed and the number of the round alone. */
export interface Plan {
  seed: number;
  round: number;
  storage: Storage;
  /** Rows of each manifest. */
  manifests: readonly number[];
  workers: number;
  concurrency: number;
  timeoutMs: number;
  latency: { minMs: number; maxMs: number };
  /** What the provider's slow faults take. */
  slowMs: number;
  faults: readonly string[];
  /** Of the workers, in the order in which they are started; those after them live until somebody kills them. */
  fates: readonly (Fate | null)[];
  steps: readonly Step[];
  end: {
    /** How the workers end. */
    stop: 'SIGTERM' | 'SIGKILL';
    /** Who sends what is left: `run` has a queue of its own; `work` gets one that has lost everything. */
    by: 'run' | 'work';
    /** Rejected and exhausted rows are sent again. */
    retry: boolean;
    /** How many uncertain rows a person settles by what the provider says. */
    settle: number;
    /** The same person is wrong about so many more, and calls them not sent. */
    misjudge: number;
    /** `vidbatch verify` has to find nothing. */
    verify: boolean;
  };
}

export interface Size {
  rows: number;
  /** Deaths of workers, as long as there are rows to be sent; those of servers and producers come on top. */
  kills: number;
  /** At most so many rows are sent in the life of a worker that is to die at one; 200. */
  life?: number;
}

/** Points that every row passes, and how many rows pass each at a time, about: a job is a chunk of them. */
const OF_ROWS: readonly (readonly [point: Point, rows: number])[] = [
  ['job-taken', 20],
  ['claimed', 4],
  ['intended', 1],
  ['sending', 1],
  ['sent', 1],
  ['answering', 1],
  ['answered', 1],
  ['answer-journaled', 1],
  ['recorded', 1],
  ['job-completed', 20],
];
/** Points that come after a crash, at the start of the next worker or with its sweeper. */
const RARE: readonly Point[] = ['answer-replayed', 'journal-replayed', 'rows-swept', 'slots-freed'];
const OF_PRODUCERS: readonly Point[] = [
  'import-begun',
  'rows-staged',
  'keys-assigned',
  'rows-merged',
  'batch-committed',
  'import-ended',
];

/** Faults that leave it open what the provider did, and those that say it clearly. */
const UNCLEAR = [
  'timeout:created',
  'timeout:not-created',
  'reset-before-body',
  'reset-after-body:created',
  'reset-after-body:not-created',
  'reset-in-answer:created',
  'accept-late',
  'slow-headers',
  'slow-body',
  'truncated-json:created',
  'no-id:created',
  'close-idle',
  'html-200:not-created',
  'status-408:created',
  'status-409:not-created',
  'status-500:created',
  'status-500-unreadable:created',
  'status-502:created',
  'status-502:not-created',
  'status-503:created',
  'status-504:created',
  'status-524:not-created',
] as const;
const CLEAR = [
  'status-503-model-not-found',
  'policy',
  'image-download',
  'invalid-request',
  'too-large',
  'throttle',
  'throttle-seconds',
  'throttle-empty',
] as const;
/** Stops everything until somebody tries again: a touch is enough. */
const HALTING = ['no-balance', 'unauthorized', 'not-found', 'redirect'] as const;

/** The round with this number of this seed. */
export function planOf(seed: number, round: number, storage: Storage, size: Size): Plan {
  const random = randomOf(Math.imul(seed, 0x9e3779b1) ^ Math.imul(round + 1, 0x85ebca6b));
  const embedded = storage.endsWith('embedded');
  const plain = Math.round(size.kills * (embedded ? 0.2 : 0.3));
  return {
    seed,
    round,
    storage,
    manifests: split(random, size.rows, embedded ? 1 : 1 + random.below(3)),
    // An embedded folder has one holder.
    workers: embedded ? 1 : 2 + random.below(3),
    concurrency: random.pick([4, 8, 8, 16]),
    timeoutMs: random.pick([1500, 2500, 4000]),
    latency: random.pick([
      { minMs: 20, maxMs: 80 },
      { minMs: 50, maxMs: 150 },
      { minMs: 1, maxMs: 300 },
    ]),
    slowMs: random.pick([300, 800, 2000]),
    faults: weather(random),
    fates: Array.from({ length: size.kills }, () => fate(random, embedded, size.life ?? 200)),
    steps: stepsOf(random, storage, plain),
    end: {
      stop: random.pick(['SIGTERM', 'SIGKILL']),
      by: random.pick(['run', 'work']),
      retry: random.chance(0.5),
      settle: 1 + random.below(4),
      misjudge: random.chance(0.2) ? 1 : 0,
      verify: true,
    },
  };
}

function split(random: Random, rows: number, parts: number): number[] {
  const sizes: number[] = [];
  let left = rows;
  for (let part = parts; part > 1; part -= 1) {
    const size = Math.max(1, Math.floor((left / part) * (0.5 + random.next())));
    sizes.push(size);
    left -= size;
  }
  return [...sizes, left];
}

/** Most die early, some have sent many rows. */
function fate(random: Random, embedded: boolean, life: number): Fate {
  const drawn = random.next();
  if (drawn < (embedded ? 0.2 : 0.08)) return { point: random.pick(RARE), time: 1 };
  if (drawn < 0.3) return { point: 'chunks-queued', time: 1 + random.below(4) };
  const [point, rows] = random.pick(OF_ROWS);
  return { point, time: 1 + Math.floor((life / rows) * random.next() ** 2) };
}

/** Mild enough that rows get through between two faults. */
function weather(random: Random): string[] {
  const faults: string[] = [];
  for (let n = random.below(5); n > 0; n -= 1) {
    faults.push(`${random.pick(UNCLEAR)}=${(0.002 + random.next() * 0.008).toFixed(4)}`);
  }
  for (let n = random.below(3); n > 0; n -= 1) {
    faults.push(`${random.pick(CLEAR)}=${(0.002 + random.next() * 0.01).toFixed(4)}`);
  }
  if (random.chance(0.15)) faults.push(`${random.pick(HALTING)}=0.0005`);
  return faults;
}

function stepsOf(random: Random, storage: Storage, plain: number): Step[] {
  const deeds: Deed[] = Array.from({ length: plain }, (): Deed => kill(random, storage));
  // For every kill about one other thing.
  for (let n = 0; n < plain; n += 1) deeds.push(disturbance(random, storage));
  for (let at = deeds.length - 1; at > 0; at -= 1) {
    const other = random.below(at + 1);
    [deeds[at], deeds[other]] = [deeds[other] as Deed, deeds[at] as Deed];
  }
  if (random.chance(0.3) && deeds.length >= 3) {
    const copied = random.below(deeds.length - 1);
    deeds.splice(copied, 0, { do: 'copy-ledger' });
    deeds.splice(copied + 1 + random.below(deeds.length - copied), 0, { do: 'restore-ledger' });
  }
  return deeds.map((deed) => ({ afterMs: 100 + random.below(1200), ...deed }));
}

function kill(random: Random, storage: Storage): Deed {
  const servers = serversOf(storage);
  const drawn = random.next();
  if (drawn < 0.2 && servers.length > 0) {
    return { do: 'kill-server', server: random.pick(servers), downMs: 50 + random.below(1500) };
  }
  if (drawn < 0.4) {
    const at = random.chance(0.7) ? { point: random.pick(OF_PRODUCERS), time: 1 } : 300 + random.below(700);
    return { do: 'kill-producer', which: random.below(3), at };
  }
  return { do: 'kill-worker', which: random.below(4) };
}

const HOW = ['stall', 'slow', 'drop', 'reset', 'reset'] as const;
const COMMANDS: readonly Command[] = [
  'pause',
  'resume',
  'resume',
  'resume-all',
  'resume-all',
  'cancel-and-retry',
  'cancel-and-retry',
  'retry',
  'settle',
  'settle',
  'status',
  'export',
  'reconcile',
];

function disturbance(random: Random, storage: Storage): Deed {
  const services: readonly Service[] = [...serversOf(storage), 'provider'];
  const drawn = random.next();
  if (drawn < 0.45) {
    const of = random.pick(services);
    // At the provider every open call becomes uncertain: shorter.
    const ms = 50 + random.below(of === 'provider' ? 400 : 2500);
    return { do: 'partition', of, how: random.pick(HOW), ms };
  }
  if (drawn < 0.55) return { do: 'weather', faults: weather(random) };
  if (drawn < 0.62) return { do: 'freeze-worker', which: random.below(4), ms: 500 + random.below(7000) };
  if (drawn < 0.68 && storage.startsWith('redis')) return { do: 'flush' };
  if (drawn < 0.74 && storage.startsWith('redis')) return { do: 'duplicate-jobs' };
  if (drawn < 0.8) return { do: 'deadlines-pass', of: 'dead' };
  return { do: 'operator', command: random.pick(COMMANDS), which: random.below(3) };
}

function serversOf(storage: Storage): ('redis' | 'postgres')[] {
  return (['redis', 'postgres'] as const).filter((server) => storage.split('+').includes(server));
}
