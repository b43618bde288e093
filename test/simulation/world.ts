import { sameKeyOf, type SameKey } from '../../src/core/retry-policy.ts';
import { Connection } from './connection.ts';
import { Disk } from './disk.ts';
import { checkAlways, checkKept, journaledTaskIds, recordedTaskIds } from './invariants.ts';
import { setBudget } from './ledger/model.ts';
import type { ModelLedger, Slip } from './ledger/state.ts';
import { VirtualClock, type Machine } from './machine.ts';
import { Process } from './process.ts';
import { randomOf, type Random } from './random.ts';
import { Scheduler, type Owner } from './scheduler.ts';
import type { Sources } from './sources.ts';
import { enter } from './stage.ts';
import { newLedger } from './start.ts';
import { Truth } from './truth.ts';
import { weatherOf, type Weather } from './weather.ts';
import { Wire } from './wire.ts';

export interface WorldOptions {
  seed: number;
  sources: Sources;
  slip?: Slip | undefined;
  /** Is told every step. */
  trace?: ((line: string) => void) | undefined;
}

/** One run's machines, ledger, provider and clocks; all of it follows from the seed. */
export class World {
  readonly origin = 'https://provider.example';
  readonly seed: number;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly clock: VirtualClock;
  readonly sources: Sources;
  readonly weather: Weather;
  readonly wire: Wire;
  readonly ledger: ModelLedger;
  readonly truth = new Truth();
  /** Given where the provider keeps its word. */
  readonly sameKey: SameKey | undefined;
  /** One machine, one process at a time, and a ledger on its disk that does not flush; else a server and several. */
  readonly embedded: boolean;
  readonly machines: Machine[];
  processes: Process[] = [];
  /** The attempts that a person is asking the provider about, by row. */
  readonly looks = new Map<number, string | null>();
  readonly person: Owner = { name: 'a person', alive: true, stopped: false };
  /** An older copy of the ledger, when somebody has made one. */
  copy: ModelLedger | undefined;
  /** The latest moment at which the database has run a statement, by its own clock. */
  latest = 0;
  #somebodyDied = false;
  #database: Owner = { name: 'database', alive: true, stopped: false };
  readonly #trace: ((line: string) => void) | undefined;
  #started = 0;

  constructor({ seed, sources, slip, trace }: WorldOptions) {
    this.#trace = trace;
    this.seed = seed;
    this.random = randomOf(seed);
    this.scheduler = new Scheduler(this.random, (line) => this.note(line));
    this.clock = new VirtualClock(this.scheduler);
    this.sources = sources;
    this.weather = weatherOf(this.random);
    this.sameKey = sameKeyOf({ providerIdempotent: this.weather.idempotent });
    this.wire = new Wire(this.scheduler, this.random, this.weather);
    this.embedded = this.random.chance(0.4);
    this.machines = Array.from({ length: this.embedded ? 1 : 1 + this.random.below(2) }, (_, n) =>
      this.#machine(n),
    );
    this.ledger = this.#ledger(slip);
    enter({
      scheduler: this.scheduler,
      random: this.random,
      disk: (owner) => machineOf(owner).disk,
      wall: (owner) => this.clock.wall(machineOf(owner)),
    });
  }

  note(line: string): void {
    this.#trace?.(`${this.scheduler.now.toFixed(0).padStart(8)} ${line}`);
  }

  connect(): Connection {
    const owner = (): Owner => this.#database;
    const execute = <T>(statement: (ledger: ModelLedger) => T): T => this.execute(statement);
    const server = { owner, execute };
    return new Connection(server, this.scheduler, this.random, this.weather);
  }

  /** One statement, at a moment of its own. */
  execute<T>(statement: (ledger: ModelLedger) => T): T {
    this.scheduler.now += 0.001;
    this.ledger.at = this.clock.database();
    this.latest = Math.max(this.latest, this.ledger.at);
    const result = statement(this.ledger);
    if (this.embedded && this.random.chance(0.05)) this.copy = this.ledger.copy();
    return result;
  }

  /** Every machine's journals have been read since the ledger was restored. */
  isWholeLedger = (): boolean => this.machines.every(({ replayed }) => replayed);

  startProcess(machine: Machine): Promise<void> {
    const process = new Process(this, machine, `w${(this.#started += 1)}`);
    this.processes.push(process);
    this.note(`${process.name} starts on ${machine.name}`);
    return this.scheduler.run(process, () => void process.start());
  }

  kill(process: Process, why: string): void {
    this.note(`${process.name} ${why}`);
    this.scheduler.kill(process);
    this.processes = this.processes.filter((one) => one !== process);
    this.#somebodyDied = true;
  }

  /** A machine loses its power; an embedded ledger loses what it had not flushed, and it flushes nothing by itself. */
  cutPower(machine: Machine): void {
    this.note(`${machine.name} loses its power`);
    for (const process of this.processes.filter((one) => one.machine === machine)) {
      this.kill(process, 'is gone');
      this.truth.torn.add(process.name);
    }
    machine.disk.cutPower();
    if (this.embedded && this.copy !== undefined) this.restore();
    if (!this.embedded) this.#forgetUnflushed();
    checkKept(this);
  }

  /** The ledger is what it was; whoever worked with it has been stopped, and nobody sends before all journals are read. */
  restore(): void {
    if (this.copy === undefined) return;
    this.note('the ledger is restored from an older copy');
    for (const process of this.processes.slice()) this.kill(process, 'is stopped for it');
    this.scheduler.kill(this.#database);
    this.#database = { name: 'database', alive: true, stopped: false };
    this.ledger.restore(this.copy);
    for (const machine of this.machines) machine.replayed = false;
    // What was committed after the copy was made is known to the journals alone.
    const left = recordedTaskIds(this.ledger);
    for (const taskId of this.truth.recorded) if (!left.has(taskId)) this.truth.recorded.delete(taskId);
    checkKept(this);
  }

  check(): void {
    checkAlways(this);
    if (this.#somebodyDied) checkKept(this);
    this.#somebodyDied = false;
  }

  /** Beside a server, an answer that was not flushed may go with the power; the ledger says uncertain then. */
  #forgetUnflushed(): void {
    const journals = journaledTaskIds(this);
    for (const taskId of this.truth.journaled) {
      if (!journals.has(taskId)) this.truth.journaled.delete(taskId);
    }
  }

  #machine(n: number): Machine {
    const disk = new Disk(this.scheduler, this.random);
    disk.faultRate = this.weather.diskFaults;
    return { name: `m${n + 1}`, disk, wallOffset: 0, slept: 0, asleepUntil: 0, replayed: true };
  }

  #ledger(slip: Slip | undefined): ModelLedger {
    const { origin, random } = this;
    const rows = 1 + random.below(3);
    const batches = random.chance(0.3) ? 2 : 1;
    const ledger = newLedger(
      Array.from({ length: batches }, () => ({ origin, rows, proven: random.chance(0.7) })),
      slip,
    );
    giveBudgets(ledger, randomOf(this.seed ^ PURSE));
    return ledger;
  }
}

/** A source of chance of its own: with it, runs are what they were before there were budgets. */
const PURSE = 0x6d6f6e65;

/** Some batches have less than what their rows cost. */
function giveBudgets(ledger: ModelLedger, random: Random): void {
  for (const row of ledger.rows.values()) Object.assign(row, { price: 1 + random.below(3), currency: 'CNY' });
  for (const batch of ledger.batches.values()) {
    const rows = [...ledger.rows.values()].filter(({ batchId }) => batchId === batch.id);
    const cost = rows.reduce((sum, { price }) => sum + (price ?? 0), 0);
    if (random.chance(0.4)) setBudget(ledger, batch.id, random.below(cost + 1));
  }
}

function machineOf(owner: Owner): Machine {
  if (!(owner instanceof Process)) throw new Error(`${owner.name} has no machine`);
  return owner.machine;
}
