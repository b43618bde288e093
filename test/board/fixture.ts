import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import { produce } from '../../src/batch/producer.ts';
import { startBoard, type Board, type BoardOptions } from '../../src/board/server.ts';
import { readConfig, type Config } from '../../src/core/config.ts';
import { createLog, type LogLevel } from '../../src/core/log.ts';
import { cancel, pause } from '../../src/ledger/operator/pause.ts';
import { addSchedule, type Schedule } from '../../src/ledger/schedules/schedules.ts';
import { startSimulator, type Simulator } from '../../src/simulator/server.ts';
import { openApp, type App } from '../../src/worker/app.ts';
import { startSending, type Sending } from '../../src/worker/sending.ts';
import { VIDBATCH } from '../cli.ts';
import { COMPILE_CACHE, copyTemplate, createLedgerDatabase, servers } from '../servers.ts';

/** Rows of a manifest: id and prompt. */
export type Prompts = Record<string, string>;

/** A ledger, a simulator and a board, all of this process. */
export interface BoardFixture {
  app: App;
  config: Config;
  board: Board;
  simulator: Simulator;
  /** Brings the rows into the ledger under that name, and then pauses or cancels the batch. Returns its id. */
  submit(batch: string, prompts: Prompts, gate?: 'paused' | 'cancelled'): Promise<number>;
  /** The same with a copy of a manifest, under the file's name. Returns how many rows it has. */
  submitFile(manifest: string, gate?: 'paused'): Promise<number>;
  /** Starts a worker, whose caller closes it. `batches`: in the queue of a `run` of these. */
  work(batches?: readonly number[]): Promise<Sending>;
  /** Sends until this many rows are settled, then stops. `batches`: uses the queue of a `run` of these batches. */
  send(rows: number, batches?: readonly number[]): Promise<void>;
  /** Starts another board on the same ledger, for as long as this work takes. */
  withBoard(options: Partial<BoardOptions>, work: (board: Board) => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

export const silent = createLog('silent');
const LIMITS = { concurrency: 2, maxAttempts: 5, timeoutMs: 20_000, queueDepth: 100 };

/** The person of a board with `credentials`. */
export const CREDENTIALS = { user: 'anna', password: 'correct horse' };
/** What a program sends as this person. */
export const BASIC = {
  authorization: `Basic ${Buffer.from(`${CREDENTIALS.user}:${CREDENTIALS.password}`).toString('base64')}`,
};
/** The place of a fixture whose queue and ledger are embedded. */
export const EMBEDDED: NodeJS.ProcessEnv = {};

const shared = await servers();

/**
 * `place`: REDIS_URL and DATABASE_URL, where the place matters. Without it, everything is in a Postgres database of its
 * own: a tenth of the processor time of an embedded one.
 */
export async function openBoardFixture(
  place?: NodeJS.ProcessEnv,
  logLevel: LogLevel = 'silent',
): Promise<BoardFixture> {
  const log = createLog(logLevel);
  const database = place === undefined ? await createLedgerDatabase(shared) : undefined;
  const folder = await mkdtemp(join(tmpdir(), 'vidbatch-board-'));
  const simulator = await startSimulator({ latency: { minMs: 0, maxMs: 0 } });
  const config = readConfig({
    VIDBATCH_DATA_DIR: join(folder, 'data'),
    VIDBATCH_BASE_URL: simulator.url,
    VIDBATCH_API_KEY: 'sk-of-the-tests',
    ...(database === undefined ? place : { DATABASE_URL: database.url }),
  });
  await mkdir(config.dataDir, { mode: 0o700 });
  if (config.databaseUrl === undefined) await copyTemplate(config.dataDir);
  const app = await openApp(config, 'worker');
  const board = await startBoard({ app, host: '127.0.0.1', port: 0, log, origin: simulator.url });
  return {
    app,
    config,
    board,
    simulator,
    async submit(batch, prompts, gate) {
      const file = join(folder, `${Buffer.from(batch).toString('hex')}.json`);
      const rows = Object.entries(prompts).map(([id, prompt]) => ({ id, model: 'viduq3p-720p', prompt }));
      await writeFile(file, `[\n${rows.map((row) => JSON.stringify(row)).join(',\n')}\n]\n`);
      const { batch: made } = await produce(app.db, file, { batch, origin: simulator.url });
      if (gate === 'paused') await pause(app.db, made.id);
      if (gate === 'cancelled') await cancel(app.db, made.id);
      return made.id;
    },
    async submitFile(manifest, gate) {
      const file = join(folder, basename(manifest));
      await copyFile(manifest, file);
      const { batch, rows } = await produce(app.db, file, { origin: simulator.url });
      if (gate === 'paused') await pause(app.db, batch.id);
      return rows;
    },
    async send(rows, batches) {
      const { promise, resolve } = Promise.withResolvers<void>();
      let left = rows;
      const sending = await startSending(app, config, LIMITS, {
        batches: batches ?? null,
        log,
        onVerdict: ({ kind }) => {
          if (kind === 'settled' && --left === 0) resolve();
        },
      });
      await promise;
      await sending.close();
    },
    work: (batches) => startSending(app, config, LIMITS, { batches: batches ?? null, log }),
    async withBoard(options, work) {
      const other = await startBoard({ app, host: '127.0.0.1', port: 0, log: silent, ...options });
      try {
        await work(other);
      } finally {
        await other.close();
      }
    },
    async close() {
      await board.close();
      await app.close();
      await simulator.close();
      await database?.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The schedule `nightly`, which is never due; `own`: how this one differs. */
export function addNightly(
  { app }: Pick<BoardFixture, 'app'>,
  own: Partial<Parameters<typeof addSchedule>[1]> = {},
): Promise<Schedule> {
  return addSchedule(app.db, {
    name: 'nightly',
    cron: '0 23 * * *',
    zone: 'Asia/Shanghai',
    manifest: '/jobs/nightly.csv',
    flags: {},
    overlap: 'skip',
    missed: 'once',
    jitterMs: 0,
    nextAt: new Date('2099-01-01T15:00:00Z'),
    ...own,
  });
}

export type Command = ChildProcessByStdio<null, Readable, Readable>;

/** The command in a process of its own, on the ledger of a fixture. */
export function vidbatch(
  { config }: { config: Pick<Config, 'dataDir'> },
  env: Record<string, string>,
  ...args: string[]
): Command {
  const [node, ...launcher] = VIDBATCH;
  return spawn(node, [...launcher, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      VIDBATCH_DATA_DIR: config.dataDir,
      ...env,
    },
  });
}

/** What a program sends that was given the token. */
export function bearing({ token }: { token?: string | undefined }): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

/**
 * What a program without a browser gets. Each request opens a new connection: on an old one, the board may hang up just as the
 * request arrives.
 */
export async function get(
  board: Pick<Board, 'url'> & { token?: string | undefined },
  path: string,
): Promise<{ status: number; headers: Headers; text: string }> {
  const response = await fetch(`${board.url}${path}`, {
    headers: { ...bearing(board), connection: 'close' },
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}
