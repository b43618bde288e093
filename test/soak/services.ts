import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { startServer, type OwnServer } from '../servers.ts';
import type { Deed, Service } from './plan.ts';
import { openProxy, type Proxy } from './proxy.ts';

type Partition = Extract<Deed, { do: 'partition' }>;

/** Redis, Postgres and the way to the provider: each behind a proxy, and to be killed and started again. */
export interface Services {
  servers: Record<'redis' | 'postgres', OwnServer>;
  proxies: Record<Service, Proxy>;
  /** `kill -9` of the server with all its processes; it is back after `downMs`. Resolves with the number of processes. */
  kill: (server: 'redis' | 'postgres', downMs: number) => Promise<void>;
  /** Redis loses everything. */
  flush: () => Promise<void>;
  /** Every job in every queue of Redis is added once more, as from a dashboard. */
  duplicateJobs: () => Promise<void>;
  /** Jobs that nobody has taken yet, in all queues of Redis. Those of the dead count as taken. */
  waitingJobs: () => Promise<number>;
  partition: (partition: Partition) => Promise<void>;
  /** Resolves once every server runs and every way is open. */
  healed: () => Promise<void>;
  close: () => Promise<void>;
}

/** Of each kind. */
const MOST_COPIES = 50;

export async function openServices(): Promise<Services> {
  const [redis, postgres] = await Promise.all([startServer('redis'), startServer('postgres')]);
  const [toRedis, toPostgres, provider] = await Promise.all([openProxy(), openProxy(), openProxy()]);
  const servers = { redis, postgres };
  const proxies = { redis: toRedis, postgres: toPostgres, provider };
  toRedis.lead(redis.url);
  toPostgres.lead(postgres.url);
  /** What is still broken at each place; the next fault there waits for it. */
  const troubles = new Map<string, Promise<void>>();

  /** Breaks it now, and mends it later, without being waited for. */
  async function trouble(
    where: string,
    broken: () => Promise<void>,
    mended: () => Promise<void>,
  ): Promise<void> {
    await troubles.get(where);
    await broken();
    troubles.set(where, mended());
  }

  async function onQueues(each: (queue: Queue) => Promise<void>): Promise<void> {
    await troubles.get('redis');
    const connection = new Redis(redis.url, { maxRetriesPerRequest: null });
    for (const key of await connection.keys('bull:vidbatch-*:meta')) {
      const queue = new Queue(key.split(':')[1] ?? '', { connection, skipMetasUpdate: true });
      await each(queue);
      await queue.close();
    }
    connection.disconnect();
  }

  return {
    servers,
    proxies,
    kill: (name, downMs) =>
      trouble(
        name,
        async () => {
          const { pid } = servers[name];
          const children = childrenOf(pid);
          await servers[name].kill();
          for (const child of children) killed(child);
        },
        async () => {
          await sleep(downMs);
          await servers[name].restart();
        },
      ),
    async flush() {
      await troubles.get('redis');
      const client = new Redis(redis.url);
      await client.flushall();
      client.disconnect();
    },
    duplicateJobs: () =>
      onQueues(async (queue) => {
        const jobs = await queue.getJobs(
          ['completed', 'failed', 'waiting', 'prioritized', 'active'],
          0,
          MOST_COPIES,
        );
        await queue.addBulk(
          jobs.map(({ id, name, data }) => ({ name, data: data as unknown, opts: { jobId: `${id}-again` } })),
        );
      }),
    async waitingJobs() {
      let waiting = 0;
      await onQueues(async (queue) => {
        waiting += await queue.getJobCountByTypes('waiting', 'prioritized');
      });
      return waiting;
    },
    partition: ({ of, how, ms }) =>
      trouble(
        `way to ${of}`,
        async () => {
          if (how === 'reset') proxies[of].reset();
          else proxies[of].set(how);
        },
        async () => {
          if (how === 'reset') return;
          await sleep(ms);
          proxies[of].set('pass');
        },
      ),
    async healed() {
      await Promise.all(troubles.values());
    },
    async close() {
      await Promise.all(troubles.values());
      await Promise.all(Object.values(proxies).map((proxy) => proxy.close()));
      await Promise.all(Object.values(servers).map((server) => server.stop()));
    },
  };
}

/** Of Postgres, one process a connection: they would outlive it for a moment, and keep it from starting again. */
function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.trim().split(/\s+/).filter(Boolean).map(Number);
  } catch {
    // Where there is no /proc they notice for themselves.
    return [];
  }
}

function killed(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has gone by itself.
  }
}
