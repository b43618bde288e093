import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExportedRow } from '../truth.ts';
import { describe, jsonLines, openPlace } from '../cli.ts';
import type { Ended, Place } from '../cli.ts';
import { startStandIn } from '../e2e/stand-in.ts';
import type { StandIn } from '../e2e/stand-in.ts';
import { createDatabase } from '../servers.ts';
import { environment, startCrew } from './crew.ts';
import type { Crew, Losses } from './crew.ts';
import { openClock } from './clock.ts';
import type { LedgerClock } from './clock.ts';
import { growing } from './manifest.ts';
import type { GrowingManifest } from './manifest.ts';
import { armed } from '../crash/arm.ts';
import type { Deed, Fate, Plan } from './plan.ts';
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
  services.proxies.provider.lead(standIn.url);
  const database = plan.storage.includes('postgres')
    ? await createDatabase({ databaseUrl: services.servers.postgres.url })
    : undefined;
  const place = await openPlace({
    VIDBATCH_BASE_URL: by(services.proxies.provider, standIn.url),
    VIDBATCH_API_KEY: 'sk-soak',
    ...(database && { DATABASE_URL: by(services.proxies.postgres, database.url) }),
    ...(plan.storage.includes('redis') && {
      REDIS_URL: by(services.proxies.redis, services.servers.redis.url),
    }),
  });
  const clock = openClock(database?.url);
  try {
    return await new Round(plan, services, place, standIn, clock, broken).play();
  } finally {
    await services.healed();
    await place.close();
    await standIn.close();
    await clock.close();
    await database?.drop();
  }
}

/** How long after the last step the workers may still meet what awaits them. */
const LINGER_MS = 15_000;

class Round {
  readonly #plan: Plan;
  readonly #services: Services;
  readonly #place: Place;
  readonly #standIn: StandIn;
  readonly #clock: LedgerClock;
  readonly #broken: Record<string, string>;
  readonly #manifests: GrowingManifest[];
  readonly #turns: number[];
  readonly #witness: string;
  readonly #surprises: string[] = [];
  readonly #count = {
    producer: 0,
    redis: 0,
    postgres: 0,
    partitions: 0,
    flushes: 0,
    freezes: 0,
    commands: 0,
  };

  constructor(
    plan: Plan,
    services: Services,
    place: Place,
    standIn: StandIn,
    clock: LedgerClock,
    broken: Record<string, string>,
  ) {
    this.#plan = plan;
    this.#services = services;
    this.#place = place;
    this.#standIn = standIn;
    this.#clock = clock;
    this.#broken = broken;
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
    const { latency, slowMs, faults } = this.#plan;
    await this.#standIn.configure({ latency, slowMs, faults: [...faults] });
    for (const manifest of this.#manifests) await this.#produce(manifest);
    const crew = startCrew({
      place: this.#place,
      plan: this.#plan,
      witness: this.#witness,
      broken: this.#broken,
    });
    try {
      for (const step of this.#plan.steps) {
        await sleep(step.afterMs);
        await this.#do(step, crew);
      }
      await this.#linger(crew);
      await this.#standIn.configure({ faults: [] });
      await this.#services.healed();
    } finally {
      await crew.stop(this.#plan.end.stop);
    }
    const stats = await this.#standIn.stats();
    const sentBefore = this.#standIn.accepted().length;
    const verdict = await this.#end();
    const { losses } = crew;
    const { producer, redis, postgres, ...others } = this.#count;
    return {
      ...verdict,
      violations: [...verdict.violations, ...losses.surprises, ...this.#surprises],
      plan: this.#plan,
      seconds: (performance.now() - begun) / 1000,
      kills: { worker: losses.atPoint + losses.anywhere, producer, redis, postgres },
      faults: stats.creates - (stats.byStatus['200'] ?? 0),
      leftForTheEnd: this.#standIn.accepted().length - sentBefore,
      gaveUp: losses.gaveUp,
      ...others,
    };
  }

  async #do(deed: Deed, crew: Crew): Promise<void> {
    switch (deed.do) {
      case 'kill-worker':
        crew.kill(deed.which);
        return;
      case 'freeze-worker':
        this.#count.freezes += 1;
        crew.freeze(deed.which, deed.ms);
        return;
      case 'kill-producer':
        return this.#killProducer(this.#manifest(deed.which), deed.at);
      case 'kill-server':
        this.#count[deed.server] += 1;
        return this.#services.kill(deed.server, deed.downMs);
      case 'flush':
        this.#count.flushes += 1;
        return this.#services.flush();
      case 'partition':
        this.#count.partitions += 1;
        return this.#services.partition(deed);
      case 'weather':
        return this.#standIn.configure({ faults: [...deed.faults] });
      case 'deadlines-pass':
        return this.#clock.deadlinesPass(crew.dead());
      case 'operator':
        return this.#operate(deed.command, this.#manifest(deed.which));
    }
  }

  /** Until every worker has met its fate, or nothing is left to be sent. */
  async #linger(crew: Crew): Promise<void> {
    const until = performance.now() + LINGER_MS;
    const rows = this.#plan.manifests.reduce((sum, one) => sum + one, 0);
    while (performance.now() < until && crew.dead().length < this.#plan.fates.length) {
      if (this.#standIn.accepted().length > rows * 0.97) return;
      await sleep(250);
    }
  }

  #manifest(which: number): GrowingManifest {
    return this.#manifests[which % this.#manifests.length] as GrowingManifest;
  }

  /** A producer that is killed on its way, and the one that comes after it. */
  async #killProducer(manifest: GrowingManifest, at: Fate | number): Promise<void> {
    const file = await this.#grow(manifest);
    const env = typeof at === 'number' ? this.#broken : environment([this.#broken, armed(at)]);
    const running = this.#place.start(['submit', file], { env });
    const timer = typeof at === 'number' ? setTimeout(() => running.kill('SIGKILL'), at) : undefined;
    const ended = await running.ended;
    clearTimeout(timer);
    if (ended.signal === 'SIGKILL') this.#count.producer += 1;
    else this.#heed(ended);
    this.#heed(await this.#place.run(['submit', file], { env: this.#broken }));
  }

  async #produce(manifest: GrowingManifest): Promise<void> {
    await this.#must([0], 'submit', await this.#write(manifest, 0));
  }

  #grow(manifest: GrowingManifest): Promise<string> {
    const at = this.#manifests.indexOf(manifest);
    const turn = (this.#turns[at] ?? 0) + 1;
    this.#turns[at] = turn;
    return this.#write(manifest, turn);
  }

  #write(manifest: GrowingManifest, turn: number): Promise<string> {
    return this.#place.write(manifest.file, manifest.textAt(turn));
  }

  async #operate(
    command: Extract<Deed, { do: 'operator' }>['command'],
    { batch }: GrowingManifest,
  ): Promise<void> {
    const lines: Record<typeof command, string[][]> = {
      pause: [['pause', batch]],
      resume: [['resume', batch]],
      'resume-all': [['resume']],
      'cancel-and-retry': [
        ['cancel', batch],
        ['retry', batch],
      ],
      retry: [['retry', batch]],
      status: [['status', batch]],
      export: [['export', batch, '--format', 'jsonl']],
      reconcile: [['reconcile', batch]],
    };
    for (const line of lines[command]) {
      this.#count.commands += 1;
      this.#heed(await this.#place.run(line, { env: this.#broken }));
    }
  }

  /** In the middle of it all a command may fail, by a code that says so; it may not crash. */
  #heed(ended: Ended): void {
    const { code, stderr } = ended;
    const gate = code === 2 && /\[(CANCELLED|NO_SUCH_BATCH)\]/.test(stderr);
    if (code === 0 || code === 1 || gate || (code !== null && code >= 4 && code <= 7)) return;
    this.#surprises.push(describe(ended));
  }

  async #must(codes: readonly number[], ...line: string[]): Promise<Ended> {
    const ended = await this.#place.run(line, { env: this.#broken });
    if (!codes.includes(ended.code ?? -1)) this.#surprises.push(describe(ended));
    return ended;
  }

  /** All is well again: what is left is sent, and then everything is compared. */
  async #end(): Promise<Verdict> {
    const { storage, end, steps, timeoutMs } = this.#plan;
    await this.#standIn.configure({ latency: { minMs: 1, maxMs: 3 } });
    await this.#clock.allDeadlinesPass();
    await this.#must([0], 'resume');
    for (const { batch } of this.#manifests) {
      const commands = steps.flatMap((step) => (step.do === 'operator' ? [step.command] : []));
      if (end.retry || commands.includes('cancel-and-retry')) await this.#must([0], 'retry', batch);
      if (commands.includes('pause')) await this.#must([0], 'resume', batch);
    }
    const files: string[] = [];
    for (const manifest of this.#manifests) files.push(await this.#write(manifest, Infinity));
    await this.#must([0], 'submit', ...files);
    const limits = ['--concurrency', '16', '--timeout', '30s', '--log-level', 'warn'];
    if (end.by === 'run' || storage === 'postgres') await this.#must([0, 4, 5], 'run', ...files, ...limits);
    else {
      if (storage.startsWith('redis')) await this.#services.flush();
      await this.#must([0, 5], 'work', '--drain', ...limits);
    }
    // A create whose client has gone may be accepted for as long as the provider is slow.
    await sleep(Math.min(this.#plan.slowMs, timeoutMs) + 200);
    const books = [];
    for (const manifest of this.#manifests) {
      const { stdout } = await this.#must([0], 'export', manifest.batch, '--format', 'jsonl');
      books.push({
        batch: manifest.batch,
        prompts: manifest.prompts(),
        exported: jsonLines<ExportedRow>(stdout),
      });
    }
    return judge({
      books,
      accepted: this.#standIn.accepted(),
      witnessed: readWitness(this.#witness),
      surplus: [],
      misjudged: new Set(),
    });
  }
}
