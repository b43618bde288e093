import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAmount } from '../../../src/core/money/money.ts';
import type { AuditFinding } from '../../../src/results/audit/audited-task.ts';
import { audit, type Audit, type AuditOptions } from '../../../src/results/audit/audit.ts';
import type { Database } from '../../../src/database/database.ts';
import { readPrices, type Prices } from '../../../src/core/money/prices.ts';
import { produce } from '../../../src/batch/producer.ts';
import { createProvider } from '../../../src/provider/client.ts';
import { type ProviderFile, fileText } from '../../../src/simulator/provider-files.ts';
import { startSimulator, type Simulator, type SimulatorOptions } from '../../../src/simulator/server.ts';
import { claimAll, recordOne } from '../../contract/rows.ts';

export interface Row {
  id: string;
  prompt: string;
  model: string;
  duration: number;
}

/** A batch whose rows were really sent to a simulator of its own, each once. */
export interface Account {
  simulator: Simulator;
  batch: { id: number; name: string };
  origin: string;
  prices: Prices;
  /** Sends the rows that are pending, and stores how their tasks ended. */
  send: () => Promise<void>;
  /** One of its books as a file, perhaps changed on the way. */
  book: (file: ProviderFile, change?: (text: string) => string) => Promise<string>;
  write: (name: string, text: string) => Promise<string>;
  /** Holds the files against the ledger. */
  audit: (
    files: readonly string[],
    options?: Partial<AuditOptions>,
  ) => Promise<Audit & { findings: AuditFinding[] }>;
  close: () => Promise<void>;
}

export const TOLERANCE_MS = 60_000;

export async function openAccount(
  db: Database,
  rows: readonly Row[],
  options: SimulatorOptions = {},
): Promise<Account> {
  const folder = await mkdtemp(join(tmpdir(), 'vidbatch-account-'));
  const simulator = await startSimulator({ task: { queuedMs: 0, runningMs: 0 }, ...options });
  const provider = createProvider({ baseUrl: simulator.url, apiKey: 'sk-test' });
  const write = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, text);
    return path;
  };
  const manifest = await write('rows.jsonl', rows.map((row) => JSON.stringify(row)).join('\n'));
  const { origin } = provider;
  const { batch } = await produce(db, manifest, { batch: `batch-${randomUUID()}`, origin });
  await db.query('update vidbatch.batch set proven = true where id = $1', [batch.id]);
  const prices = await readPrices(await write('prices.json', JSON.stringify(priceFile(simulator))));

  async function send(): Promise<void> {
    // Whatever the answers of before would hold up.
    await db.query(
      `update vidbatch.provider
          set state = 'open', probe = null, uncertain_streak = 0, throttled_until = '-infinity' where origin = $1`,
      [origin],
    );
    await db.query('update vidbatch.halt set lifted_at = now() where origin = $1 and lifted_at is null', [
      origin,
    ]);
    await db.query(`update vidbatch.row_state set not_before = '-infinity' where batch_id = $1`, [batch.id]);
    const pending = await db.query<{ id: number }>(
      `select id from vidbatch.submission where batch_id = $1 and state = 'pending' order by id`,
      [batch.id],
    );
    const claims = await claimAll(
      db,
      { origin },
      pending.rows.map(({ id }) => id),
    );
    for (let at = 0; at < claims.length; at += 20) {
      const answers = claims.slice(at, at + 20).map(async (claimed) => ({
        claimed,
        outcome: await provider.create(claimed.request, { idempotencyKey: claimed.attemptId }),
      }));
      for (const { claimed, outcome } of await Promise.all(answers)) await recordOne(db, claimed, outcome);
    }
    const tasks = simulator.tasks();
    await db.query(
      `update vidbatch.row_state s set provider_status = t.status
         from unnest($1::text[], $2::text[]) as t(task_id, status) where s.task_id = t.task_id`,
      [tasks.map(({ taskId }) => taskId), tasks.map(({ status }) => status)],
    );
  }

  return {
    simulator,
    batch,
    origin,
    prices,
    send,
    write,
    book: (file, change = (text) => text) =>
      write(file, change([...fileText(simulator.providerFiles(), file)].join(''))),
    audit: async (files, more = {}) => {
      const findings: AuditFinding[] = [];
      const result = await audit(db, {
        files,
        origin,
        batch,
        map: new Map(),
        zone: undefined,
        currency: undefined,
        negative: undefined,
        toleranceMs: TOLERANCE_MS,
        price: () => undefined,
        ...more,
        onFinding: (finding) => void findings.push(finding),
      });
      return { ...result, findings };
    },
    close: async () => {
      await provider.close();
      await simulator.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function priceFile(simulator: Simulator): object {
  const { prices, currency } = simulator.settings();
  return Object.fromEntries(
    Object.entries(prices).flatMap(([model, perSecond]) =>
      model === '*' || parseAmount(perSecond) === undefined ? [] : [[model, { perSecond, currency }]],
    ),
  );
}
