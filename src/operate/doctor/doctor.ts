import type { Config } from '../../core/config.ts';
import { VidbatchError } from '../../core/errors.ts';
import { reasonOf } from '../../database/connection-errors.ts';
import { readCondition } from '../../ledger/read/alerts.ts';
import { redactor } from '../../provider/api-key.ts';
import { journalFolder } from '../../worker/journal/journal.ts';
import { queueName } from '../../worker/queue/name.ts';
import { redisTrouble } from '../../worker/queue/redis/trouble.ts';
import { nameOfPlace, parseRedisUrl } from '../../worker/queue/redis/url.ts';
import { parsed, refused, skipped, checkSubject, within } from './check.ts';
import type { Check } from './check.ts';
import { judgeConfiguration, judgeMachine } from './configuration.ts';
import type { Understood, MachineFacts } from './configuration.ts';
import { readFolderFacts, judgeFolder, readJournalFacts, judgeJournals } from './folder.ts';
import { judgeCondition, openLedger } from './ledger.ts';
import type { OpenedLedger } from './ledger.ts';
import { judgeProvider, readProviderFacts } from './provider.ts';
import { checkSchema, readQueueFacts, judgeQueue, openStore } from './queue.ts';
import { judgeRedis, readRedisFacts, openProbe } from './redis.ts';

/** Milliseconds for one question to another machine. */
const LIMIT_MS = 5_000;

/**
 * Checks everything that a worker on this machine depends on. The checks run side by side and are reported in order. They
 * change nothing, make no ledger, and ask the provider one question that costs nothing. Each has a time limit, and no
 * failure ends the others.
 */
export async function* runChecks(
  understood: Understood,
  machine: Omit<MachineFacts, 'surroundings'>,
  limitMs = LIMIT_MS,
): AsyncGenerator<Check> {
  const { config, surroundings } = understood;
  const folder = checkSubject('data-folder', limitMs, async () =>
    judgeFolder(await readFolderFacts(config.dataDir, config.databaseUrl === undefined)),
  );
  const ledger = openLedger(config, limitMs);
  const redis = checkRedis(config, limitMs);
  const provider = checkProvider(config, limitMs);
  yield* judgeMachine({ ...machine, surroundings });
  yield* judgeConfiguration(understood);
  yield* await folder;
  const opened = await ledger;
  try {
    yield* opened.checks;
    const ledgerId = yield* checkGates(opened, limitMs);
    yield* await checkJournals(opened, config, ledgerId, limitMs);
    yield* await redis;
    yield* await checkQueue(opened, config, ledgerId, limitMs);
  } finally {
    await opened.close();
  }
  yield* await provider;
}

async function* checkGates({ db }: OpenedLedger, limitMs: number): AsyncGenerator<Check, string | undefined> {
  if (db === undefined) {
    yield skipped('gates', 'there is no ledger to ask');
    return undefined;
  }
  let ledgerId: string | undefined;
  yield* await checkSubject('gates', limitMs, async () => {
    const condition = await readCondition(db);
    ({ ledgerId } = condition);
    return judgeCondition(condition);
  });
  return ledgerId;
}

async function checkJournals(
  { db }: OpenedLedger,
  config: Config,
  ledgerId: string | undefined,
  limitMs: number,
): Promise<Check[]> {
  if (db === undefined || ledgerId === undefined) return [];
  try {
    return await within(limitMs, async (signal) =>
      judgeJournals(await readJournalFacts(db, journalFolder(config.dataDir), ledgerId, signal)),
    );
  } catch (error) {
    return [
      skipped('journals', `not read to their end: ${reasonOf(error)}; \`vidbatch verify\` reads all of them`),
    ];
  }
}

async function checkRedis({ redisUrl }: Config, limitMs: number): Promise<Check[]> {
  if (redisUrl === undefined) return [];
  const place = parsed(() => parseRedisUrl(redisUrl));
  if (place === undefined) return [skipped('redis', 'was not asked: REDIS_URL is not understood')];
  try {
    return await within(limitMs, async (signal) => {
      const redis = await openProbe(place, signal);
      const facts = await readRedisFacts(redis, {
        tls: place.tls,
        key: `bull:${queueName('doctor', null)}:meta`,
      });
      return judgeRedis(facts, nameOfPlace(place));
    });
  } catch (error) {
    return [refused('redis', error instanceof VidbatchError ? error : redisTrouble(error, place))];
  }
}

async function checkQueue(
  { db, embedded }: OpenedLedger,
  config: Config,
  ledgerId: string | undefined,
  limitMs: number,
): Promise<Check[]> {
  if (db === undefined || ledgerId === undefined) return [];
  const schema =
    config.redisUrl === undefined
      ? await checkSubject('queue-schema', limitMs, async () => [await checkSchema(db)])
      : [];
  if (schema.some(({ status }) => status !== 'ok')) return schema;
  const checks = await checkSubject('queue', 2 * limitMs, async (signal) => {
    const store = await openStore(config, embedded, signal);
    return judgeQueue(await readQueueFacts(db, store, ledgerId));
  });
  return [...schema, ...checks];
}

async function checkProvider({ baseUrl, apiKey }: Config, limitMs: number): Promise<Check[]> {
  if (baseUrl === undefined || apiKey === undefined) {
    return [skipped('provider', 'was not asked: its URL or the key is missing')];
  }
  return checkSubject('provider', 4 * limitMs, async (signal) =>
    judgeProvider(await readProviderFacts(baseUrl, apiKey, { limitMs, signal }), redactor(apiKey)),
  );
}
