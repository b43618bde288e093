import type { Random } from './random.ts';

/** A process, or something outside of all processes. Its continuations run only while it is alive and not stopped. */
export interface Owner {
  readonly name: string;
  alive: boolean;
  /** As by SIGSTOP. */
  stopped: boolean;
  /** With its machine. */
  readonly asleepUntil?: number;
}

interface Parked {
  owner: Owner;
  label: string;
  due: number;
  /** What it waits for besides the time. */
  ready: (() => boolean) | undefined;
  resume: () => void;
}

/**
 * Runs asynchronous code one continuation at a time. Whatever would take time parks here, and chance says who goes on;
 * between two parkings a process runs undisturbed, as it does on a real event loop.
 */
export class Scheduler {
  /** Milliseconds since the beginning of this run; the only time there is. */
  now = 0;
  /** Whose code runs. */
  running: Owner | undefined;
  readonly #random: Random;
  readonly #trace: (line: string) => void;
  #parked: Parked[] = [];

  constructor(random: Random, trace: (line: string) => void) {
    this.#random = random;
    this.#trace = trace;
  }

  /** Suspends whoever runs, for at least this long and until `ready`, and then until chance picks it. */
  park(label: string, delayMs = 0, ready?: () => boolean): Promise<void> {
    const owner = this.running;
    if (owner === undefined) throw new Error(`${label}: nobody runs`);
    const due = this.now + delayMs;
    return new Promise((resume) => this.#parked.push({ owner, label, due, ready, resume }));
  }

  /** Code of another owner, which begins when chance picks it. */
  later(owner: Owner, label: string, delayMs: number, code: () => void): void {
    this.#parked.push({ owner, label, due: this.now + delayMs, ready: undefined, resume: code });
  }

  /** Starts code of this owner and lets it run until all of it is parked or over. */
  async run(owner: Owner, code: () => unknown): Promise<void> {
    this.running = owner;
    code();
    await drained();
    this.running = undefined;
  }

  /** Resumes one continuation that may go on; false when there is none. */
  async step(): Promise<boolean> {
    const ready = this.#parked.filter((one) => one.due <= this.now && this.#mayRun(one));
    if (ready.length === 0) return false;
    const chosen = this.#random.pick(ready);
    this.#parked.splice(this.#parked.indexOf(chosen), 1);
    this.#trace(`${chosen.owner.name}: ${chosen.label}`);
    await this.run(chosen.owner, chosen.resume);
    return true;
  }

  /** The next moment at which somebody may go on, if anybody waits for one. */
  nextDue(): number | undefined {
    let next: number | undefined;
    for (const { owner, ready, due } of this.#parked) {
      if (!owner.alive || owner.stopped || ready?.() === false) continue;
      const at = Math.max(due, owner.asleepUntil ?? 0);
      if (next === undefined || at < next) next = at;
    }
    return next;
  }

  /** A process died: nothing of it goes on, not even its `finally`. */
  kill(owner: Owner): void {
    owner.alive = false;
    this.#parked = this.#parked.filter((one) => one.owner !== owner);
  }

  #mayRun({ owner, ready }: Parked): boolean {
    return (
      owner.alive &&
      !owner.stopped &&
      (owner.asleepUntil ?? 0) <= this.now &&
      (ready === undefined || ready())
    );
  }
}

/** The tick queue is looked at again only when there is no microtask left: everything that can run has run. */
function drained(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
