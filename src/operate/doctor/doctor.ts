import { configuredProfile, defaultProfile } from '../../provider/profile/load.ts';
import { parsed, type Check } from './check.ts';
import { judgeConfiguration, judgeMachine, type MachineFacts, type Understood } from './configuration.ts';
import { checkFolder, checkJournals } from './folder.ts';
import { checkGates, openLedger, pendingModels } from './ledger.ts';
import { checkModelList } from './models.ts';
import { checkProvider } from './provider.ts';
import { checkQueue } from './queue.ts';
import { checkRedis } from './redis.ts';

/** The time limit of one request to another machine, in milliseconds. */
const LIMIT_MS = 5_000;

/**
 * Checks everything that a worker on this machine depends on. The checks run side by side and are reported in order.
 * They change nothing, make no ledger, and send the provider one request that costs nothing. Each has a time limit, and
 * no failure ends the others.
 */
export async function* runChecks(
  understood: Understood,
  machine: Omit<MachineFacts, 'surroundings'>,
  limitMs = LIMIT_MS,
): AsyncGenerator<Check> {
  const { config, surroundings, sends = true } = understood;
  // A board of a ledger on a server uses no folder.
  const usesFolder = sends || config.databaseUrl === undefined;
  // A profile that cannot be read is a fault of the configuration.
  const profile = parsed(() => configuredProfile(config)) ?? defaultProfile();
  const folder = usesFolder ? checkFolder(config, limitMs) : [];
  const ledger = openLedger(config, limitMs);
  const redis = checkRedis(config, limitMs);
  const provider = checkProvider(config, limitMs, profile);
  yield* judgeMachine({ ...machine, surroundings });
  yield* judgeConfiguration(understood);
  yield* await folder;
  const opened = await ledger;
  let models: Promise<Check[]> | undefined;
  try {
    yield* opened.checks;
    const ledgerId = yield* checkGates(opened, limitMs);
    if (usesFolder) yield* await checkJournals(opened, config, ledgerId, limitMs);
    const wanted = [...(await pendingModels(opened, limitMs)), ...config.models];
    models = checkModelList(config, profile, wanted, limitMs);
    yield* await redis;
    yield* await checkQueue(opened, config, ledgerId, limitMs);
  } finally {
    await opened.close();
  }
  yield* await provider;
  yield* (await models) ?? [];
}
