import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExportedRow } from '../truth.ts';
import { jsonLines, openPlace } from '../cli.ts';
import type { Place } from '../cli.ts';
import { armed } from '../crash/arm.ts';
import { startStandIn } from '../e2e/stand-in.ts';
import type { StandIn } from '../e2e/stand-in.ts';
import { environment, startCrew } from './crew.ts';
import type { Crew, Losses } from './crew.ts';
import { openEmbeddedLedger, openPostgresLedger } from './ledger.ts';
import type { Ledger } from './ledger.ts';
import { growing } from './manifest.ts';
import type { GrowingManifest } from './manifest.ts';
import { openOffice } from './office.ts';
import type { Office } from './office.ts';
import type { Deed, Fate, Plan, Sight } from './plan.ts';
import { by } from './proxy.ts';
import type { Services } from './services.ts';
import { judge } from './verdict.ts';
import type { Verdict } from './verdict.ts';
import { readWitness } from './witness.ts';

export interface RoundResult extends Verdict {
  plan: Plan;
  seconds: number;
  kills: { worker: number; producer: number; redis: number; postgres: number };
  /** Creates that the provider did not answer with 200 and a whole body. */
  faults: number;
  partitions: number;
  flushes: number;
  freezes: number;
  restores: number;
  commands: number;
  /** Rows that were sent only at the end, when all was well again. */
  leftForTheEnd: number;
  gaveUp: Losses['gaveUp'];
}

export interface Stage {
  plan: Plan;
  services: Services;
  /** The environment of a guard taken out, for tests of the soak itself. */
  broken?: Record<string, string>;
}

/** Plays a plan from the empty ledger to the judgement. Leaves nothing behind. */
export async function playRound({ plan, services, broken = {} }: Stage): Promise<RoundResult> {
  const standIn = await startStandIn('--seed', `${Math.abs(plan.seed * 1000 + plan.round) % 2 ** 31}`);
  // The queues of earlier rounds.
  await services.flush();
  const { redis, postgres, provider } = services.proxies;
  provider.lead(standIn.url);
  const place = await openPlace({
    VIDBATCH_BASE_URL: by(provider, standIn.url),
    VIDBATCH_API_KEY: 'sk-soak',
    ...(plan.storage.includes('redis') && { REDIS_URL: by(redis, services.servers.redis.url) }),
  });
  const ledger = plan.storage.includes('postgres')
    ? await openPostgresLedger(services.servers.postgres.url)
    : openEmbeddedLedger(place.folder);
  if (ledger.url !== undefined) place.env['DATABASE_URL'] = by(postgres, ledger.url);
  try {
    return await new Round({ plan, services, place, standIn, ledger, broken }).play();
  } finally {
    await services.healed();
    await place.close();
    await standIn.close();
    await ledger.close();
  }
}

/** How long after the last step the workers may still meet what awaits them. */
const LINGER_MS = 30_000;
/** What an aimed plan waits for comes within this time, or something else is wrong. */
const SIGHT_MS = 60_000;

interface Scene {
  plan: Plan;
  services: Services;
  place: Place;
  standIn: StandIn;
  ledger: Ledger;
  broken: Record<string, string>;
}

class Round {
  readonly #scene: Scene;
  readonly #office: Office;
  readonly #manifests: GrowingManifest[];
  /** How many producers each manifest has seen. */
  readonly #turns: number[];
  readonly #witness: string;
  readonly #count = {
    producer: 0,
    redis: 0,
    postgres: 0,
    partitions: 0,
    flushes: 0,
    freezes: 0,
    restores: 0,
  };

  constructor(scene: Scene) {
    const { plan, place, standIn, broken } = scene;
    this.#scene = scene;
    this.#office = openOffice(place, standIn, broken);
    this.#witness = join(place.folder, 'witness');
    this.#manifests = plan.manifests.map((rows, at) => {
      const turns = plan.steps.filter(
        (step) => step.do === 'kill-producer' && step.which % plan.manifests.length === at,
      );
      return growing(`m${at + 1}`, rows, turns.length);
    });
    this.#turns = plan.manifests.map(() => 0);
  }

  async play(): Promise<RoundResult> {
    const begun = performance.now();
    const { plan, standIn, place, services, broken } = this.#scene;
    const { latency, slowMs, faults } = plan;
    await standIn.configure({ latency, slowMs, faults: [...faults] });
    for (const manifest of this.#manifests) {
      await this.#office.must([0], 'submit', await this.#write(manifest, 0));
    }
    const crew = startCrew({ place, plan, witness: this.#witness, broken });
    try {
      for (const step of plan.steps) {
        await sleep(step.afterMs);
        await this.#do(step, crew);
      }
      await this.#linger(crew);
      await standIn.configure({ faults: [] });
      await services.healed();
    } finally {
      await crew.stop(plan.end.stop);
    }
    const stats = await standIn.stats();
    const verdict = await this.#end();
    const { losses } = crew;
    const { producer, redis, postgres, ...others } = this.#count;
    return {
      ...verdict,
      violations: [...verdict.violations, ...losses.surprises, ...this.#office.surprises],
      plan,
      seconds: (performance.now() - begun) / 1000,
      kills: { worker: losses.atPoint + losses.anywhere, producer, redis, postgres },
      faults: stats.creates - (stats.byStatus['200'] ?? 0),
      leftForTheEnd: standIn.accepted().length - stats.accepted,
      gaveUp: losses.gaveUp,
      commands: this.#office.commands(),
      ...others,
    };
  }

  async #do(deed: Deed, crew: Crew): Promise<void> {
    const { services, standIn, ledger } = this.#scene;
    switch (deed.do) {
      case 'kill-worker':
        return crew.kill(deed.which);
      case 'freeze-worker':
        this.#count.freezes += 1;
        crew.freeze(deed.which, deed.ms);
        return;
      case 'kill-producer':
        return this.#killProducer(this.#manifest(deed.which), deed.at);
      case 'kill-server':
        this.#count[deed.server] += 1;
        return services.kill(deed.server, deed.downMs);
      case 'flush':
        this.#count.flushes += 1;
        return services.flush();
      case 'partition':
        this.#count.partitions += 1;
        return services.partition(deed);
      case 'weather':
        return standIn.configure({ faults: [...deed.faults] });
      case 'duplicate-jobs':
        return services.duplicateJobs();
      case 'deadlines-pass':
        await services.healed();
        return ledger.deadlinesPass(deed.of === 'all' ? 'all' : crew.dead());
      case 'wait':
        return this.#wait(deed.until, crew);
      case 'hire':
        crew.hire();
        return;
      case 'wake':
        crew.wake();
        return;
      case 'call-not-sent':
        for (const { batch } of this.#manifests) await this.#office.callNotSent(batch);
        return;
      case 'copy-ledger':
        await services.healed();
        return crew.away(ledger.copy);
      case 'restore-ledger':
        await services.healed();
        return crew.away(async () => {
          if (await ledger.restore()) this.#count.restores += 1;
        });
      case 'operator':
        return this.#office.operate(deed.command, this.#manifest(deed.which).batch);
    }
  }

  async #wait(sight: Sight, crew: Crew): Promise<void> {
    const { plan, services, standIn, ledger } = this.#scene;
    const rows = plan.manifests.reduce((sum, one) => sum + one, 0);
    const sleepers = plan.fates.filter((fate) => fate?.signal === 'SIGSTOP').length;
    const seen: Record<Sight, () => Promise<boolean>> = {
      'every sleeper is asleep': async () => crew.asleep() >= sleepers,
      'every fate is met': async () => crew.dead().length >= plan.fates.length,
      'as many rows are uncertain': async () => (await ledger.uncertain()) >= sleepers,
      'all others were accepted': async () =>
        (await standIn.stats()).accepted >= rows - plan.fates.length * plan.concurrency,
      'no job waits': async () => (await services.waitingJobs()) === 0,
    };
    const until = performance.now() + SIGHT_MS;
    while (!(await seen[sight]())) {
      if (performance.now() > until) throw new Error(`not seen within ${SIGHT_MS / 1000} s: ${sight}`);
      await sleep(50);
    }
  }

  /** Until every worker has met its fate, or nothing is left to be sent. */
  async #linger(crew: Crew): Promise<void> {
    const { plan, standIn } = this.#scene;
    const until = performance.now() + LINGER_MS;
    const rows = plan.manifests.reduce((sum, one) => sum + one, 0);
    while (performance.now() < until && crew.dead().length < plan.fates.length) {
      if ((await standIn.stats()).accepted > rows * 0.97) return;
      await sleep(250);
    }
  }

  #manifest(which: number): GrowingManifest {
    return this.#manifests[which % this.#manifests.length] as GrowingManifest;
  }

  /** A producer that is killed on its way, and the one that comes after it. */
  async #killProducer(manifest: GrowingManifest, at: Fate | number): Promise<void> {
    const { place, broken } = this.#scene;
    const turn = (this.#turns[this.#manifests.indexOf(manifest)] ?? 0) + 1;
    this.#turns[this.#manifests.indexOf(manifest)] = turn;
    const file = await this.#write(manifest, turn);
    const env = typeof at === 'number' ? broken : environment([broken, armed(at)]);
    const running = place.start(['submit', file], { env });
    const timer = typeof at === 'number' ? setTimeout(() => running.kill('SIGKILL'), at) : undefined;
    const ended = await running.ended;
    clearTimeout(timer);
    if (ended.signal === 'SIGKILL') this.#count.producer += 1;
    else this.#office.heed(ended);
    this.#office.heed(await place.run(['submit', file], { env: broken }));
  }

  #write(manifest: GrowingManifest, turn: number): Promise<string> {
    return this.#scene.place.write(manifest.file, manifest.textAt(turn));
  }

  /** All is well again: what is left is sent, a person settles some rows, and then everything is compared. */
  async #end(): Promise<Verdict> {
    const { plan, standIn, ledger } = this.#scene;
    const { must, settle, misjudge, misjudged } = this.#office;
    await standIn.configure({ latency: { minMs: 1, maxMs: 3 } });
    await ledger.deadlinesPass('all');
    await ledger.lanesPass();
    const files: string[] = [];
    for (const manifest of this.#manifests) files.push(await this.#write(manifest, Infinity));
    await this.#unlock();
    await this.#drain(files);
    // A create whose client has gone may be accepted for as long as the provider is slow.
    await sleep(plan.slowMs + 200);
    let settled = 0;
    for (const { batch } of this.#manifests) {
      if (plan.end.misjudge > misjudged.size) await misjudge(batch, plan.end.misjudge - misjudged.size);
      if (plan.end.settle > settled) settled += await settle(batch, plan.end.settle - settled);
    }
    if (settled + misjudged.size > 0) await this.#drain(files);
    const books = [];
    for (const manifest of this.#manifests) {
      const { stdout } = await must([0], 'export', manifest.batch, '--format', 'jsonl');
      const exported = jsonLines<ExportedRow>(stdout);
      books.push({ batch: manifest.batch, prompts: manifest.prompts(), exported });
    }
    return judge({
      books,
      accepted: standIn.accepted(),
      witnessed: readWitness(this.#witness),
      surplus: await ledger.taskIds(),
      misjudged,
    });
  }

  /** Takes back what operators have stopped. A restored ledger may be from before a manifest. */
  async #unlock(): Promise<void> {
    const { plan } = this.#scene;
    const { must } = this.#office;
    const commands = plan.steps.flatMap((step) => (step.do === 'operator' ? [step.command] : []));
    if (commands.length > 0) await must([0], 'resume');
    for (const { batch } of this.#manifests) {
      if (plan.end.retry || commands.includes('cancel-and-retry')) await must([0, 2], 'retry', batch);
      if (commands.includes('pause')) await must([0, 2], 'resume', batch);
    }
  }

  async #drain(files: readonly string[]): Promise<void> {
    const { plan, services } = this.#scene;
    const limits = ['--concurrency', '16', '--timeout', '30s', '--log-level', 'warn'];
    if (plan.end.by === 'run' || plan.storage === 'postgres') {
      await this.#office.must([0, 4, 5], 'run', ...files, ...limits);
      return;
    }
    if (plan.storage.startsWith('redis')) await services.flush();
    await this.#office.must([0], 'submit', ...files);
    await this.#office.must([0, 5], 'work', '--drain', ...limits);
  }
}
