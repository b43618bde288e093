import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { emptyRedis } from './bare.ts';
import { observe } from './child.ts';
import type { Contender } from './contender.ts';
import type { Observed } from './observer.ts';
import { writeManifest } from './rows.ts';
import type { Stage } from './stage.ts';

const LAUNCHER = '../bin/vidbatch.js';
/** The most that the program takes. */
const DEEPEST = 100_000;

type Env = Record<string, string>;

export function envOf(stage: Stage, dataDir: string, places: Env): Env {
  return {
    VIDBATCH_BASE_URL: stage.target.url,
    VIDBATCH_API_KEY: 'bench',
    // The endpoint has no tasks to ask for, and the contenders ask for none.
    VIDBATCH_POLL_CONCURRENCY: '0',
    VIDBATCH_DATA_DIR: dataDir,
    ...places,
  };
}

export function vidbatch(stage: Stage, folder: string, env: Env, args: readonly string[]): Promise<Observed> {
  const points = { from: 'job-taken', to: 'job-completed' };
  return observe({ ...points, script: LAUNCHER, args, env, folder, signal: stage.interrupted });
}

export interface Ledger {
  databaseUrl: string;
  manifest: string;
}

/** A ledger with the rows of a manifest, none of them sent. */
export async function submitted(stage: Stage, rows: number): Promise<Ledger> {
  const folder = await stage.folder();
  const { url: databaseUrl } = await stage.database();
  const manifest = join(folder, 'rows.csv');
  await writeManifest(manifest, rows);
  (await emptyRedis(stage)).disconnect();
  const places = { REDIS_URL: (await stage.redis()).url, DATABASE_URL: databaseUrl };
  await vidbatch(stage, folder, envOf(stage, join(folder, 'data'), places), ['submit', manifest]);
  return { databaseUrl, manifest };
}

/** A ledger whose batch has had one row accepted, and the manifest with the other rows that it has become since. */
async function proven(stage: Stage, rows: number): Promise<Ledger> {
  const ledger = await submitted(stage, 1);
  const folder = await stage.folder();
  await stage.target.begin(0);
  const places = { REDIS_URL: (await stage.redis()).url, DATABASE_URL: ledger.databaseUrl };
  await vidbatch(stage, folder, envOf(stage, join(folder, 'data'), places), ['work', '--drain']);
  await writeManifest(ledger.manifest, rows);
  return ledger;
}

/** The files of an embedded ledger with the rows of a manifest. */
async function submittedEmbedded(stage: Stage, rows: number): Promise<string> {
  const folder = await stage.folder();
  const manifest = join(folder, 'rows.csv');
  await writeManifest(manifest, rows);
  const data = join(folder, 'data');
  await vidbatch(stage, folder, envOf(stage, data, {}), ['submit', manifest]);
  return data;
}

const drain = (concurrency: number): string[] => ['work', '--drain', '--concurrency', String(concurrency)];

/** The real worker on Redis and Postgres. */
export const work: Contender = {
  title: 'vidbatch work, Redis and Postgres',
  measure: 'posts',
  async prepare(stage, { rows, concurrency }) {
    const template = await stage.once(`submitted ${rows}`, () => submitted(stage, rows));
    const { url, drop } = await stage.database(template.databaseUrl);
    (await emptyRedis(stage)).disconnect();
    const folder = await stage.folder();
    const places = { REDIS_URL: (await stage.redis()).url, DATABASE_URL: url };
    const env = envOf(stage, join(folder, 'data'), places);
    const run = { script: LAUNCHER, args: drain(concurrency), env };
    return { folder, run, databaseUrl: url, discard: drop };
  },
};

/** The same while somebody else reads one snapshot of the ledger, as a long export or a backup does. */
export const workBesideSnapshot: Contender = {
  ...work,
  title: 'vidbatch work beside an open snapshot',
  async prepare(stage, setting) {
    const prepared = await work.prepare(stage, setting);
    const reader = new Client({ connectionString: prepared.databaseUrl });
    // The database is dropped under it.
    reader.on('error', () => undefined);
    await reader.connect();
    await reader.query('begin isolation level repeatable read');
    await reader.query('select count(*) from vidbatch.row_state');
    return {
      ...prepared,
      async discard() {
        await reader.end();
        await prepared.discard?.();
      },
    };
  },
};

/** The real worker with nothing but a folder. */
export const workEmbedded: Contender = {
  title: 'vidbatch work, embedded',
  measure: 'posts',
  async prepare(stage, { rows, concurrency }) {
    const template = await stage.once(`embedded ${rows}`, () => submittedEmbedded(stage, rows));
    const folder = await stage.folder();
    const data = join(folder, 'data');
    await cp(template, data, { recursive: true });
    return { folder, run: { script: LAUNCHER, args: drain(concurrency), env: envOf(stage, data, {}) } };
  },
};

/**
 * The real producer, which also feeds. Of a batch of which nothing was accepted yet it would feed one row alone; so one
 * row of this one was accepted before.
 */
export const submit: Contender = {
  title: 'vidbatch submit, Redis and Postgres',
  measure: 'points',
  async prepare(stage, { rows }) {
    if (rows > DEEPEST) throw new Error(`vidbatch feeds at most ${DEEPEST} rows at a time`);
    const { databaseUrl, manifest } = await stage.once(`proven ${rows}`, () => proven(stage, rows));
    const { url, drop } = await stage.database(databaseUrl);
    (await emptyRedis(stage)).disconnect();
    const folder = await stage.folder();
    const places = { REDIS_URL: (await stage.redis()).url, DATABASE_URL: url };
    const env = envOf(stage, join(folder, 'data'), places);
    const args = ['submit', manifest, '--queue-depth', String(rows)];
    return { folder, run: { script: LAUNCHER, args, env }, discard: drop };
  },
};

/** Both commands on a manifest, once each, one after the other. */
export async function* peaks(
  stage: Stage,
  storage: 'redis and postgres' | 'embedded',
  rows: number,
): AsyncGenerator<{ command: string; peakBytes: number }> {
  const folder = await stage.folder();
  const manifest = join(folder, 'rows.csv');
  await writeManifest(manifest, rows);
  const env = envOf(stage, join(folder, 'data'), storage === 'embedded' ? {} : await newPlaces(stage));
  await stage.target.begin(0);
  yield {
    command: 'submit',
    peakBytes: (await vidbatch(stage, folder, env, ['submit', manifest])).peakBytes,
  };
  yield { command: 'work --drain', peakBytes: (await vidbatch(stage, folder, env, drain(100))).peakBytes };
  await rm(folder, { recursive: true, force: true });
}

/** An empty Redis and a new database. */
export async function newPlaces(stage: Stage): Promise<Env> {
  (await emptyRedis(stage)).disconnect();
  return { REDIS_URL: (await stage.redis()).url, DATABASE_URL: (await stage.database()).url };
}

/** A worker that goes on until it is stopped. `over`: it has ended, or everything has to. */
export async function startWorker(
  stage: Stage,
  folder: string,
  env: Record<string, string>,
  flags: readonly string[],
): Promise<{ over: AbortSignal; stop: () => Promise<void> }> {
  const output = await open(join(folder, 'worker.txt'), 'w');
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL(LAUNCHER, import.meta.url)), 'work', ...flags],
    {
      cwd: folder,
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
      stdio: ['ignore', output.fd, output.fd],
    },
  );
  const ended = once(child, 'exit');
  const died = new AbortController();
  child.once('exit', () => died.abort(new Error('the worker has ended before it was told to')));
  return {
    over: AbortSignal.any([stage.interrupted, died.signal]),
    async stop() {
      child.kill('SIGTERM');
      await ended;
      await output.close();
    },
  };
}

export async function until(seen: () => Promise<boolean>, over: AbortSignal): Promise<void> {
  while (!(await seen())) {
    over.throwIfAborted();
    await sleep(100);
  }
}
