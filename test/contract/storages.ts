import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe } from 'node:test';
import { Redis } from 'ioredis';
import { openApp, type App } from '../../src/worker/app.ts';
import type { Role } from '../../src/worker/judge-ledger.ts';
import type { Config } from '../../src/core/config.ts';
import { startCluster } from '../cluster.ts';
import { copyTemplate, createDatabase, createLedgerDatabase, servers } from '../servers.ts';

/** Where queue and ledger can be: every row of the design's table. */
export const STORAGES = ['embedded', 'postgres', 'redis+postgres', 'redis+embedded'] as const;

/** And a queue on a cluster of its own: enough for suites of the queue alone. */
export const QUEUES = [...STORAGES, 'cluster+postgres'] as const;

/** The storages that differ in their ledger: enough for suites that never touch the queue. */
export const LEDGERS = ['embedded', 'postgres'] as const;

/**
 * For suites of SQL alone, which does not differ: Postgres, and with `npm run soak:ledgers` the embedded one. There, the
 * same queries take four times the processor time, and each opening half a second.
 */
export const SQL_LEDGERS = (process.env['VIDBATCH_SQL_LEDGERS']?.split(',') ?? [
  'postgres',
]) as readonly (typeof LEDGERS)[number][];

export type StorageKind = (typeof QUEUES)[number];

/** An open app on an empty ledger of its own. */
export interface Storage extends App {
  kind: StorageKind;
  config: Config;
  /** The same ledger once more, over connections of its own: to an embedded one as a guest, through its door. */
  another: (role?: Role) => Promise<App>;
}

const shared = await servers();

/** Opens a new storage; `close` removes everything that was made. `own`: for example the URL of a Redis to be killed. */
export async function openStorage(kind: StorageKind, own: Partial<Config> = {}): Promise<Storage> {
  const { config, remove } = await place(kind, own, true);
  const closers: (() => Promise<void>)[] = [remove];
  const close = async (): Promise<void> => {
    for (const one of closers.splice(0).toReversed()) await one();
  };
  try {
    const app = await openApp(config, 'worker');
    closers.push(() => app.close());
    closers.push(() => forgetQueues(app));
    return {
      ...app,
      kind,
      config,
      close,
      another: async (role = 'writer') => {
        const other = await openApp(config, role);
        closers.push(() => other.close());
        return other;
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A place for a ledger; `made`: it holds its tables already. */
export async function place(
  kind: StorageKind,
  own: Partial<Config> = {},
  made = false,
): Promise<{ config: Config; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'vidbatch-ledger-'));
  const create = made ? createLedgerDatabase : createDatabase;
  const database = kind.endsWith('postgres') ? await create(shared) : undefined;
  const cluster = kind.startsWith('cluster') ? await startCluster() : undefined;
  const config: Config = {
    baseUrl: undefined,
    apiKey: undefined,
    redisUrl: kind.startsWith('redis') ? shared.redisUrl : cluster?.url,
    databaseUrl: database?.url,
    dataDir: join(folder, 'data'),
    models: [],
    codes: {},
    providerIdempotent: false,
    ...own,
  };
  if (database === undefined) await copyTemplate(config.dataDir, made ? 'ledger' : 'empty');
  const remove = async (): Promise<void> => {
    await cluster?.stop();
    await database?.drop();
    await rm(folder, { recursive: true, force: true });
  };
  return { config, remove };
}

/** The Redis may be somebody's own: it is left as it was found. */
async function forgetQueues({ store, ledgerId }: App): Promise<void> {
  if (store.kind !== 'redis' || !(store.redis instanceof Redis)) return;
  for await (const keys of store.redis.scanStream({ match: `bull:vidbatch-${ledgerId}*`, count: 1000 })) {
    if ((keys as string[]).length > 0) await store.redis.unlink(...(keys as string[]));
  }
}

/** Runs a suite unchanged on each of the storages; each is opened once for all of its tests. */
export function onEvery(
  kinds: readonly StorageKind[],
  suite: (storage: () => Storage, kind: StorageKind) => void,
): void {
  for (const kind of kinds) {
    describe(`on ${kind}`, () => {
      let storage: Storage;
      before(async () => {
        storage = await openStorage(kind);
      });
      after(() => storage.close());
      suite(() => storage, kind);
    });
  }
}
