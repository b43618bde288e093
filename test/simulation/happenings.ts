import { cancel, pause, resolve, resume, retry, armProbe } from './ledger/model.ts';
import type { Decision } from './ledger/operator.ts';
import { LIFETIME_MS } from './process.ts';
import type { World } from './world.ts';

const HOUR_MS = 3_600_000;
/** A person needs as long to see that a row is uncertain, and to ask the provider. */
const PERSON_MS = 60_000;

/** What may happen in a run besides the program's own doing, with its weight. */
export interface Happening {
  name: string;
  weight: number;
  happens(world: World): Promise<void> | void;
}

const USUAL: readonly Happening[] = [
  { name: 'job', weight: 30, happens: deliver },
  { name: 'start', weight: 6, happens: start },
  { name: 'sweep', weight: 4, happens: sweep },
  {
    name: 'wait',
    weight: 4,
    happens: ({ scheduler, random }) => void (scheduler.now += random.below(20_000)),
  },
];

/** Each run has some of these, so that it comes far with them. */
const UNUSUAL: readonly Happening[] = [
  { name: 'crash', weight: 4, happens: (world) => withProcess(world, (one) => world.kill(one, 'crashes')) },
  {
    name: 'stop',
    weight: 2,
    happens: (world) => withProcess(world, (one) => void world.scheduler.run(one, () => void one.stop())),
  },
  { name: 'freeze', weight: 5, happens: freeze },
  {
    name: 'long wait',
    weight: 2,
    happens: ({ scheduler, random }) => void (scheduler.now += random.below(600_000)),
  },
  { name: 'away', weight: 2, happens: ({ weather }) => void (weather.ledgerAway = !weather.ledgerAway) },
  { name: 'full disk', weight: 2, happens: ({ machines, random }) => toggleFull(random.pick(machines).disk) },
  { name: 'power', weight: 2, happens: (world) => world.cutPower(world.random.pick(world.machines)) },
  { name: 'copy', weight: 2, happens: (world) => void (world.copy = world.ledger.copy()) },
  { name: 'restore', weight: 1, happens: (world) => world.restore() },
  { name: 'database clock', weight: 2, happens: (world) => void (world.clock.databaseOffset = jump(world)) },
  { name: 'gates', weight: 3, happens: gates },
  { name: 'person', weight: 10, happens: look },
];

/** Either clock of a machine may fail; a rule that trusts neither alone is lost when both fail at once. */
const CLOCKS: readonly Happening[] = [
  {
    name: 'wall clock',
    weight: 3,
    happens: (world) => void (world.random.pick(world.machines).wallOffset = jump(world)),
  },
  { name: 'sleep', weight: 3, happens: sleep },
];

/** Some runs are about one thing, because chance alone seldom brings together what it takes. */
const THEMES: readonly (readonly string[])[] = [
  [],
  [],
  ['freeze', 'person'],
  ['copy', 'restore', 'gates', 'person'],
  ['away', 'person', 'long wait'],
];

/** What can happen in this run. */
export function happeningsOf({ random, embedded }: World): readonly Happening[] {
  const theme = random.pick(THEMES);
  const rate = theme.length === 0 ? 0.4 : 0.1;
  const some = UNUSUAL.filter(({ name }) => random.chance(rate) || theme.includes(name)).filter(
    ({ name }) => !embedded || name !== 'copy',
  );
  return [...USUAL, ...some, ...(random.chance(rate) ? [random.pick(CLOCKS)] : [])];
}

export async function happen(world: World, happenings: readonly Happening[]): Promise<void> {
  let left = world.random.next() * happenings.reduce((sum, { weight }) => sum + weight, 0);
  for (const one of happenings) {
    left -= one.weight;
    if (left >= 0) continue;
    if (one.name !== 'job') world.note(one.name);
    await one.happens(world);
    return;
  }
}

/** The queue: a chunk of any batch, to any process, any number of times. */
async function deliver(world: World): Promise<void> {
  const { random, scheduler, ledger } = world;
  const ready = world.processes.filter((one) => one.ready && !one.stopped && one.inFlight < 3);
  // Nobody sends while a machine's journals may know of attempts that the restored ledger has forgotten.
  if (ready.length === 0 || !world.isWholeLedger()) return;
  const process = random.pick(ready);
  const all = [...ledger.rows.values()];
  const pending = all.filter(({ state }) => state === 'pending');
  const { batchId } = random.pick(pending.length > 0 && random.chance(0.7) ? pending : all);
  const rows = 1 + random.below(3);
  world.note(`${process.name} may send ${rows} of batch ${batchId}`);
  await scheduler.run(process, () => void process.perform(batchId, rows));
}

async function start(world: World): Promise<void> {
  const machine = world.random.pick(world.machines);
  const there = world.processes.filter((one) => one.machine === machine).length;
  if (there < (world.embedded ? 1 : 2)) await world.startProcess(machine);
}

async function sweep(world: World): Promise<void> {
  await withProcess(world, (one) =>
    one.ready ? world.scheduler.run(one, () => void one.sweep()) : undefined,
  );
}

async function withProcess(
  world: World,
  act: (process: World['processes'][number]) => Promise<void> | void,
): Promise<void> {
  const running = world.processes.filter((one) => !one.stopped);
  if (running.length > 0) await act(world.random.pick(running));
}

/** SIGSTOP of a process that has something to do, or the SIGCONT that ends it; often it is long. */
function freeze(world: World): void {
  const { random, scheduler, processes } = world;
  const frozen = processes.filter(({ stopped }) => stopped);
  const candidates = processes.filter((one) => !one.stopped && (one.inFlight > 0 || random.chance(0.1)));
  const process = frozen.length > 0 && random.chance(0.5) ? random.pick(frozen) : candidates[0];
  if (process === undefined) return;
  process.stopped = !process.stopped;
  world.note(`${process.name} ${process.stopped ? 'is frozen' : 'goes on'}`);
  if (process.stopped && random.chance(0.5)) scheduler.now += LIFETIME_MS + random.below(10_000);
}

/** The whole machine, and with it its monotonic clock. */
function sleep({ machines, scheduler, random }: World): void {
  const machine = random.pick(machines);
  if (machine.asleepUntil > scheduler.now) return;
  const ms = random.below(random.chance(0.5) ? 10_000 : 600_000);
  machine.asleepUntil = scheduler.now + ms;
  machine.slept += ms;
}

function toggleFull(disk: World['machines'][number]['disk']): void {
  disk.full = !disk.full;
}

function jump({ random }: World): number {
  return random.pick([-HOUR_MS, -30_000, -3_000, 0, 0, 3_000, 30_000, HOUR_MS]);
}

function gates(world: World): void {
  const { random, origin } = world;
  const batchId = random.pick([...world.ledger.batches.keys()]);
  const id = random.chance(0.3) ? null : batchId;
  const kind = random.pick([
    'pause',
    'resume',
    'resume',
    'cancel',
    'retry',
    'retry',
    'probe',
    'probe',
  ] as const);
  world.note(`operator: ${kind} ${id ?? 'all'}`);
  world.execute((ledger) => {
    if (kind === 'pause') pause(ledger, id);
    else if (kind === 'resume') resume(ledger, id);
    else if (kind === 'cancel') cancel(ledger, batchId);
    else if (kind === 'retry') retry(ledger, batchId);
    else armProbe(ledger, origin);
  });
}

/** Sees that a row is uncertain; some time later, asks the provider and says what became of it. */
function look(world: World): void {
  const { random, ledger, scheduler, person, looks } = world;
  const uncertain = [...ledger.rows.values()].filter(({ state }) => state === 'uncertain');
  if (uncertain.length === 0) return;
  const row = random.pick(uncertain);
  if (looks.get(row.id) === row.attemptId) return;
  looks.set(row.id, row.attemptId);
  scheduler.later(person, `decides about row ${row.id}`, PERSON_MS, () => {
    looks.delete(row.id);
    decide(world, row.id);
  });
}

function decide(world: World, rowId: number): void {
  const { random, wire, truth } = world;
  const taskId = wire.accepted.get(rowId)?.at(-1);
  const underWay = wire.posts.some((post) => post.submissionId === rowId && post.open);
  const errs = random.chance(0.05);
  if (underWay && !errs) return;
  const notSent = taskId === undefined || errs;
  const said: Decision = notSent ? { kind: 'not-sent' } : { kind: 'task-id', taskId };
  const decision: Decision = random.chance(0.1) ? { kind: 'abandon' } : said;
  const done = world.execute((ledger) => resolve(ledger, rowId, decision));
  world.note(`a person says that row ${rowId} is ${decision.kind}${done ? '' : ', and is refused'}`);
  if (done && decision.kind === 'not-sent' && (taskId !== undefined || underWay)) truth.misjudged.add(rowId);
}
