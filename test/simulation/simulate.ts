import { happen, happeningsOf, type Happening } from './happenings.ts';
import { checkFinished, checkSettled, Violation } from './invariants.ts';
import { armProbe, resume, setBudget, sweep } from './ledger/model.ts';
import { FAIR } from './weather.ts';
import { World, type WorldOptions } from './world.ts';

/** How a run ended: what it violated, if anything, and how many steps it took. */
export interface Ended {
  seed: number;
  steps: number;
  violation: string | undefined;
}

const STEPS = { least: 30, most: 180 };
/** A run that is well again is over long before. */
const MOST_STEPS = 20_000;

/** One interleaving, from the first job to the moment when everything that was broken has been put right. */
export async function simulate(options: WorldOptions): Promise<Ended> {
  const world = new World(options);
  let steps = 0;
  let violation: string | undefined;
  const counted = (): number => (steps += 1);
  try {
    await storm(world, counted);
    await settle(world, counted);
    await finish(world, counted);
  } catch (error) {
    violation =
      error instanceof Violation ? error.message : String(error instanceof Error ? error.stack : error);
  }
  return { seed: options.seed, steps, violation };
}

/** Everything may happen. */
async function storm(world: World, counted: () => number): Promise<void> {
  const { random, scheduler } = world;
  const happenings = happeningsOf(world);
  const most = STEPS.least + random.below(STEPS.most - STEPS.least);
  const calm = 0.6 + random.next() * 0.3;
  for (const machine of world.machines) await world.startProcess(machine);
  while (counted() < most) {
    scheduler.now += random.below(20);
    if (random.chance(calm)) await goOn(world, happenings);
    else await happen(world, happenings);
    world.check();
  }
}

async function goOn(world: World, happenings: readonly Happening[]): Promise<void> {
  const { random, scheduler } = world;
  if (await scheduler.step()) return;
  const next = scheduler.nextDue();
  if (next === undefined || random.chance(0.5)) await happen(world, happenings);
  else scheduler.now = Math.max(scheduler.now, next);
}

/** The weather clears; what is in flight ends, every machine is started again, and the last deadline passes. */
async function settle(world: World, counted: () => number): Promise<void> {
  world.note('the weather clears');
  const { posts, idempotent, diskFaults } = world.weather;
  Object.assign(world.weather, { ...FAIR, posts, idempotent, diskFaults });
  for (const process of world.processes) process.stopped = false;
  for (const { disk } of world.machines) Object.assign(disk, { full: false, faultRate: 0 });
  world.clock.databaseOffset = 0;
  await calmDown(world, counted);
  checkForgotten(world);
  for (const process of world.processes.slice()) {
    if (world.random.chance(0.5)) await world.scheduler.run(process, () => void process.stop());
    else world.kill(process, 'is killed');
  }
  await calmDown(world, counted);
  // Longer than any deadline, also for one that was set while the database's clock was an hour ahead.
  world.scheduler.now += 4_000_000;
  // Somebody on another machine may have judged before the journals are read.
  if (world.random.chance(0.5)) world.execute((ledger) => sweep(ledger));
  for (const machine of world.machines) await world.startProcess(machine);
  await calmDown(world, counted);
  world.execute((ledger) => sweep(ledger));
  world.check();
  checkSettled(world);
}

/** The provider accepts everything, and there is money enough: each row comes to its end. */
async function finish(world: World, counted: () => number): Promise<void> {
  const { ledger, weather, scheduler, origin } = world;
  weather.posts = FAIR.posts;
  for (const id of [null, ...ledger.batches.keys()]) world.execute((model) => resume(model, id));
  for (const id of ledger.batches.keys()) world.execute((model) => setBudget(model, id, null));
  for (let round = 0; round <= ledger.rows.size; round += 1) {
    world.execute((model) => armProbe(model, origin));
    for (const row of ledger.rows.values()) {
      if (row.state !== 'pending') continue;
      scheduler.now += 4_000_000;
      const process = world.random.pick(world.processes);
      await scheduler.run(process, () => void process.perform(row.batchId, 1));
      await calmDown(world, counted);
    }
  }
  checkSettled(world);
  checkFinished(world);
}

/** A living worker knows of every attempt that it has claimed, unless a lost statement ran behind its back. */
function checkForgotten({ processes, ledger }: World): void {
  for (const process of processes) {
    if (!process.ready || process.connection.haunted) continue;
    for (const row of ledger.rows.values()) {
      const attempt = ledger.attempts.get(row.attemptId ?? '');
      if (row.state === 'submitting' && attempt?.worker === process.name && attempt.deadline > ledger.at) {
        throw new Violation(`row ${row.id} is claimed by ${process.name}, which does not know of it`);
      }
    }
  }
}

async function calmDown(world: World, counted: () => number): Promise<void> {
  for (;;) {
    if (counted() > MOST_STEPS) throw new Violation('it does not end');
    if (!(await world.scheduler.step())) {
      const next = world.scheduler.nextDue();
      if (next === undefined) return;
      world.scheduler.now = Math.max(world.scheduler.now, next);
    }
    world.check();
  }
}
