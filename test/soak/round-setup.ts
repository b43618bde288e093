import { join } from 'node:path';
import { openCli, type Cli } from '../cli.ts';
import { startSimulatorProcess, type SimulatorProcess } from '../e2e/simulator.ts';
import { openEmbeddedLedger, openPostgresLedger, type Ledger } from './ledger.ts';
import { growing, type GrowingManifest } from './manifest.ts';
import { startOperator, type Operator } from './operator.ts';
import type { Plan } from './plan.ts';
import { by } from './proxy.ts';
import type { Services } from './services.ts';

/** What a round is played with: all of it its own, but for the servers. */
export interface RoundSetup {
  plan: Plan;
  services: Services;
  cli: Cli;
  simulator: SimulatorProcess;
  ledger: Ledger;
  operator: Operator;
  manifests: readonly GrowingManifest[];
  /** Where the witness writes. */
  witness: string;
  /** The environment of a guard taken out, for tests of the soak itself. */
  broken: Record<string, string>;
  close: () => Promise<void>;
}

export async function openRoundSetup(
  plan: Plan,
  services: Services,
  broken: Record<string, string>,
): Promise<RoundSetup> {
  const simulator = await startSimulatorProcess(
    '--seed',
    `${Math.abs(plan.seed * 1000 + plan.round) % 2 ** 31}`,
  );
  // The queues of earlier rounds.
  await services.flush();
  const { redis, postgres, provider } = services.proxies;
  provider.lead(simulator.url);
  const cli = await openCli(
    {
      VIDBATCH_BASE_URL: by(provider, simulator.url),
      VIDBATCH_API_KEY: 'sk-soak',
      ...(plan.storage.includes('redis') && { REDIS_URL: by(redis, services.servers.redis.url) }),
    },
    { alone: true },
  );
  const ledger = plan.storage.includes('postgres')
    ? await openPostgresLedger(services.servers.postgres.url)
    : openEmbeddedLedger(cli.folder);
  if (ledger.url !== undefined) cli.env['DATABASE_URL'] = by(postgres, ledger.url);
  return {
    plan,
    services,
    cli,
    simulator,
    ledger,
    broken,
    operator: startOperator(cli, simulator, broken),
    manifests: manifestsOf(plan),
    witness: join(cli.folder, 'witness'),
    async close() {
      await services.healed();
      await cli.close();
      await simulator.close();
      await ledger.close();
    },
  };
}

/** Each grows with every producer that the plan has for it. */
function manifestsOf({ manifests, steps }: Plan): GrowingManifest[] {
  return manifests.map((rows, at) => {
    const turns = steps.filter((step) => step.do === 'kill-producer' && step.which % manifests.length === at);
    return growing(`m${at + 1}`, rows, turns.length);
  });
}
