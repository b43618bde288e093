import { setTimeout as sleep } from 'node:timers/promises';
import { armed } from '../crash/arm.ts';
import { environment, startCrew, type Crew, type Losses } from './crew.ts';
import { endRound } from './end.ts';
import type { GrowingManifest } from './manifest.ts';
import type { Deed, Fate, Plan, Sight } from './plan.ts';
import { openRoundSetup, type RoundSetup } from './round-setup.ts';
import type { Services } from './services.ts';
import type { Verdict } from './verdict.ts';

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
  const setup = await openRoundSetup(plan, services, broken);
  try {
    return await new Round(setup).play();
  } finally {
    await setup.close();
  }
}

/** Some points are never met. An embedded ledger takes seconds to open. */
const LONGEST_LIFE_MS = 2_000;
/** What an aimed plan waits for comes within this time, or something else is wrong. */
const SIGHT_MS = 60_000;

class Round {
  readonly #setup: RoundSetup;
  /** How many producers each manifest has seen. */
  readonly #turns: number[];
  readonly #count = {
    producer: 0,
    redis: 0,
    postgres: 0,
    partitions: 0,
    flushes: 0,
    freezes: 0,
    restores: 0,
  };

  constructor(setup: RoundSetup) {
    this.#setup = setup;
    this.#turns = setup.manifests.map(() => 0);
  }

  async play(): Promise<RoundResult> {
    const begun = performance.now();
    const { plan, simulator, cli, services, broken } = this.#setup;
    const { latency, slowMs, faults } = plan;
    await simulator.configure({ latency, slowMs, faults: [...faults] });
    for (const manifest of this.#setup.manifests) {
      await this.#setup.operator.must([0], 'submit', await this.#write(manifest, 0));
    }
    const crew = startCrew({ cli, plan, witness: this.#setup.witness, broken });
    try {
      for (const step of plan.steps) {
        await sleep(step.afterMs);
        await this.#do(step, crew);
      }
      await this.#linger(crew);
      await simulator.configure({ faults: [] });
      await services.healed();
    } finally {
      await crew.stop(plan.end.stop);
    }
    const stats = await simulator.stats();
    const verdict = await endRound(this.#setup);
    const { losses } = crew;
    const { producer, redis, postgres, ...others } = this.#count;
    return {
      ...verdict,
      violations: [...verdict.violations, ...losses.surprises, ...this.#setup.operator.surprises],
      plan,
      seconds: (performance.now() - begun) / 1000,
      kills: { worker: losses.atPoint + losses.anywhere, producer, redis, postgres },
      faults: stats.creates - (stats.byStatus['200'] ?? 0),
      leftForTheEnd: simulator.accepted().length - stats.accepted,
      gaveUp: losses.gaveUp,
      commands: this.#setup.operator.commands(),
      ...others,
    };
  }

  async #do(deed: Deed, crew: Crew): Promise<void> {
    const { services, simulator, ledger } = this.#setup;
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
        return simulator.configure({ faults: [...deed.faults] });
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
      case 'copy-ledger':
        await services.healed();
        return crew.away(ledger.copy);
      case 'restore-ledger':
        await services.healed();
        return crew.away(async () => {
          if (await ledger.restore()) this.#count.restores += 1;
        });
      case 'operator':
        return this.#setup.operator.operate(deed.command, this.#manifest(deed.which).batch);
    }
  }

  async #wait(sight: Sight, crew: Crew): Promise<void> {
    const { plan, services, simulator, ledger } = this.#setup;
    const rows = plan.manifests.reduce((sum, one) => sum + one, 0);
    const sleepers = plan.fates.filter((fate) => fate?.signal === 'SIGSTOP').length;
    const seen: Record<Sight, () => Promise<boolean>> = {
      'every sleeper is asleep': async () => crew.asleep() >= sleepers,
      'every fate is met': async () => crew.dead().length >= plan.fates.length,
      'as many rows are uncertain': async () => (await ledger.uncertain()) >= sleepers,
      'all others were accepted': async () =>
        (await simulator.stats()).accepted >= rows - plan.fates.length * plan.concurrency,
      'no job waits': async () => (await services.waitingJobs()) === 0,
    };
    const until = performance.now() + SIGHT_MS;
    while (!(await seen[sight]())) {
      if (performance.now() > until) throw new Error(`not seen within ${SIGHT_MS / 1000} s: ${sight}`);
      await sleep(50);
    }
  }

  /** Until enough have died, or nothing is left to be sent. Who does not meet his fate is killed without it. */
  async #linger(crew: Crew): Promise<void> {
    const { plan, simulator, ledger } = this.#setup;
    const rows = plan.manifests.reduce((sum, one) => sum + one, 0);
    const life = plan.storage.endsWith('embedded') ? 4 * LONGEST_LIFE_MS : LONGEST_LIFE_MS;
    let before = { dead: 0, accepted: 0, at: performance.now() };
    for (;;) {
      const dead = crew.losses.atPoint + crew.losses.anywhere;
      const { accepted } = await simulator.stats();
      if (dead >= plan.fates.length || accepted > rows * 0.97) return;
      const still = performance.now() - before.at;
      if (dead !== before.dead) before = { dead, accepted, at: performance.now() };
      else if (still > life && accepted > before.accepted) await crew.kill(dead);
      else if (still > life) {
        // The one row that may be in flight died with its worker: a sweeper has to live long enough to see it.
        await ledger.deadlinesPass(crew.dead());
        if (still > 4 * life) await crew.kill(dead);
      }
      await sleep(250);
    }
  }

  #manifest(which: number): GrowingManifest {
    return this.#setup.manifests[which % this.#setup.manifests.length] as GrowingManifest;
  }

  /** A producer that is killed on its way, and the one that comes after it. */
  async #killProducer(manifest: GrowingManifest, at: Fate | number): Promise<void> {
    const { cli, broken } = this.#setup;
    const turn = (this.#turns[this.#setup.manifests.indexOf(manifest)] ?? 0) + 1;
    this.#turns[this.#setup.manifests.indexOf(manifest)] = turn;
    const file = await this.#write(manifest, turn);
    const env = typeof at === 'number' ? broken : environment([broken, armed(at)]);
    const running = cli.start(['submit', file], { env });
    const timer = typeof at === 'number' ? setTimeout(() => running.kill('SIGKILL'), at) : undefined;
    const ended = await running.ended;
    clearTimeout(timer);
    if (ended.signal === 'SIGKILL') this.#count.producer += 1;
    else this.#setup.operator.heed(ended);
    this.#setup.operator.heed(await cli.run(['submit', file], { env: broken }));
  }

  #write(manifest: GrowingManifest, turn: number): Promise<string> {
    return this.#setup.cli.write(manifest.file, manifest.textAt(turn));
  }
}
