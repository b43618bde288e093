import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { produce } from '../../src/batch/producer.ts';
import { startBoard } from '../../src/board/server.ts';
import type { Board } from '../../src/board/server.ts';
import { readConfig } from '../../src/core/config.ts';
import type { Config } from '../../src/core/config.ts';
import { createLog } from '../../src/core/log.ts';
import type { LogLevel } from '../../src/core/log.ts';
import { cancel, pause } from '../../src/ledger/operator/pause.ts';
import { startSimulator } from '../../src/simulator/server.ts';
import type { Simulator } from '../../src/simulator/server.ts';
import { openApp } from '../../src/worker/app.ts';
import type { App } from '../../src/worker/app.ts';
import { startSending } from '../../src/worker/sending.ts';
import type { Sending } from '../../src/worker/sending.ts';
import { copyTemplate } from '../servers.ts';

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
  close(): Promise<void>;
}

export const silent = createLog('silent');
const LIMITS = { concurrency: 2, maxAttempts: 5, timeoutMs: 20_000, queueDepth: 100 };

/** `env`: REDIS_URL and DATABASE_URL; without them, everything is in an embedded ledger of its own. */
export async function openBoardFixture(
  env: NodeJS.ProcessEnv = {},
  logLevel: LogLevel = 'silent',
): Promise<BoardFixture> {
  const log = createLog(logLevel);
  const folder = await mkdtemp(join(tmpdir(), 'vidbatch-board-'));
  const simulator = await startSimulator({ latency: { minMs: 0, maxMs: 0 } });
  const config = readConfig({
    VIDBATCH_DATA_DIR: join(folder, 'data'),
    VIDBATCH_BASE_URL: simulator.url,
    VIDBATCH_API_KEY: 'sk-of-the-tests',
    ...env,
  });
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
    async close() {
      await board.close();
      await app.close();
      await simulator.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What a program sends that was given the token. */
export function bearing({ token }: { token?: string | undefined }): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

/** A status line and the body, as whoever has no browser sees it. */
export async function get(
  board: Pick<Board, 'url'> & { token?: string | undefined },
  path: string,
): Promise<{ status: number; headers: Headers; text: string }> {
  const response = await fetch(`${board.url}${path}`, { headers: bearing(board) });
  return { status: response.status, headers: response.headers, text: await response.text() };
}
