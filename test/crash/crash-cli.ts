import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import type { Queryable } from '../../src/database/database.ts';
import { openEmbedded } from '../../src/database/embedded.ts';
import { parsers } from '../../src/database/parsers.ts';
import { queueName } from '../../src/worker/queue/name.ts';
import { describe as tell, openCli, type Ended, type Cli, type Running } from '../cli.ts';
import { place as placeFor, type StorageKind } from '../contract/storages.ts';
import type { SimulatorProcess } from '../e2e/simulator.ts';
import { until } from '../until.ts';
import { armed, type Armed } from './arm.ts';
import { mixed } from './rows.ts';

/** One ledger with its queue, on which real processes die, one after another. */
export interface CrashCli extends Pick<Cli, 'run' | 'start' | 'write'> {
  kind: StorageKind;
  simulator: SimulatorProcess;
  dataDir: string;
  /** Writes the manifest of this batch and tells the simulator what its rows meet; returns its path. */
  manifest: (batch: string, stormy?: boolean) => Promise<string>;
  /** Of the rows of each manifest, in input order. */
  prompts: ReadonlyMap<string, readonly string[]>;
  /** Runs the command until it dies at the point. Fails when it never comes there. */
  dies: (at: Armed, args: readonly string[], env?: Record<string, string>) => Promise<Ended>;
  /** Reads and writes the ledger directly. On an embedded one only while no process holds it. */
  ledger: <T>(work: (db: Queryable) => Promise<T>) => Promise<T>;
  /** Attempts in flight pass their deadline, and feeders that have not been seen since are taken for dead. */
  later: () => Promise<void>;
  /** Jobs that were taken from a worker that stood still, and given to another. Only with a queue on Redis. */
  stalled: () => Promise<number>;
  /** As Redis does that loses everything: no job of this ledger is left. Only with a queue on Redis. */
  loseQueue: () => Promise<void>;
  close: () => Promise<void>;
}

export async function openCrashCli(kind: StorageKind, simulator: SimulatorProcess): Promise<CrashCli> {
  const { config, remove } = await placeFor(kind);
  const { databaseUrl, redisUrl, dataDir } = config;
  const here = await openCli(
    {
      VIDBATCH_DATA_DIR: dataDir,
      VIDBATCH_BASE_URL: simulator.url,
      VIDBATCH_API_KEY: 'sk-crash',
      ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }),
      ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
    },
    { alone: true },
  );
  const pool =
    databaseUrl === undefined
      ? undefined
      : new Pool({ connectionString: databaseUrl, types: parsers, max: 2 });
  // Its database is dropped while the last connection is still on its way out.
  pool?.on('error', () => undefined);
  const prompts = new Map<string, string[]>();
  const cli: CrashCli = {
    kind,
    simulator,
    dataDir,
    run: here.run,
    start: here.start,
    write: here.write,
    prompts,
    async manifest(batch, stormy = false) {
      const { csv, rules, prompts: own } = mixed(batch, kind, stormy);
      prompts.set(batch, own);
      for (const rule of rules) await simulator.addRule(rule);
      return here.write(`${batch}.csv`, csv);
    },
    async dies(at, args, env = {}) {
      const running = here.start(args, { env: onTopOf(env, armed(at)) });
      const ended = await running.ended;
      assert.ok(
        ended.signal === 'SIGKILL' && ended.stderr.includes(`killed at ${at.point}\n`),
        `it did not die at ${at.point}: ${tell(ended)}`,
      );
      return ended;
    },
    async ledger(work) {
      if (pool !== undefined) return work(pool);
      const database = await openEmbedded(join(dataDir, 'database'));
      try {
        return await work(database);
      } finally {
        await database.end();
      }
    },
    async later() {
      // Whoever opens an embedded folder knows that nobody else is alive: it need not wait for anything.
      if (pool === undefined) return;
      await pool.query(
        `update vidbatch.row_state set deadline = now() - interval '1 s' where state = 'submitting'`,
      );
      await pool.query(`update vidbatch.attempt set deadline = now() - interval '1 s' where outcome is null`);
      await pool.query(`update vidbatch.feeder set seen_at = now() - interval '1 h'`);
      await pool.query(
        `update vidbatch.task set lease_until = now(), due_at = now() where lease_until is not null`,
      );
    },
    async stalled() {
      assert.ok(redisUrl !== undefined, `the queue of ${kind} is not on Redis`);
      const { rows } = await cli.ledger((db) =>
        db.query<{ ledger_id: string }>('select ledger_id from vidbatch.meta'),
      );
      const redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
      const queue = new Queue(queueName(rows[0]?.ledger_id ?? '', null), {
        connection: redis,
        skipMetasUpdate: true,
      });
      try {
        const jobs = await queue.getJobs(['active', 'waiting', 'completed', 'failed']);
        return jobs.filter(({ stalledCounter }) => stalledCounter > 0).length;
      } finally {
        await queue.close();
        redis.disconnect();
      }
    },
    async loseQueue() {
      assert.ok(redisUrl !== undefined, `the queue of ${kind} is not on Redis`);
      const { rows } = await cli.ledger((db) =>
        db.query<{ ledger_id: string }>('select ledger_id from vidbatch.meta'),
      );
      const redis = new Redis(redisUrl);
      try {
        for await (const keys of redis.scanStream({
          match: `bull:vidbatch-${rows[0]?.ledger_id}*`,
          count: 1000,
        })) {
          if ((keys as string[]).length > 0) await redis.unlink(...(keys as string[]));
        }
      } finally {
        redis.disconnect();
      }
    },
    async close() {
      await here.close();
      if (redisUrl !== undefined && (await isMade(pool))) await cli.loseQueue();
      await pool?.end();
      await remove();
    },
  };
  return cli;
}

/** Two environments of preloads: both are loaded. */
function onTopOf(one: Record<string, string>, other: Record<string, string>): Record<string, string> {
  const preloads = [one['NODE_OPTIONS'], other['NODE_OPTIONS']].filter((options) => options !== undefined);
  return { ...one, ...other, NODE_OPTIONS: preloads.join(' ') };
}

/** An embedded ledger is gone with its folder; its queue on Redis is found by nobody, and small. */
async function isMade(pool: Pool | undefined): Promise<boolean> {
  if (pool === undefined) return false;
  const { rows } = await pool.query<{ made: boolean }>(
    `select to_regclass('vidbatch.meta') is not null as made`,
  );
  return rows[0]?.made === true;
}

/** Starts the command, and resolves once it stands still at the point. */
export async function stops(
  cli: CrashCli,
  at: Armed,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Running> {
  const running = cli.start(args, { env: onTopOf(env, armed({ ...at, signal: 'SIGSTOP' })) });
  await running.says(new RegExp(`^stopped at ${at.point}$`));
  // The process says so before it stops. A SIGCONT before that would be lost, and the process would stay stopped.
  await until(async () => (await stateOf(running.pid)) === 'T');
  return running;
}

/** The state of a process as the kernel has it, such as R, S or T (stopped). */
async function stateOf(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'T';
  return / (\w) /.exec((await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\)/, ''))?.[1];
}
