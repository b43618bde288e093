import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { VidbatchError } from '../../src/core/errors.ts';
import { findBatch, type Batch } from '../../src/ledger/batches.ts';
import type { Database } from '../../src/database/database.ts';
import { readSubmissions, type SubmissionView } from '../../src/ledger/read/rows.ts';
import { produce, type ProduceOptions, type Produced } from '../../src/batch/producer.ts';
import { claimAll, recordOne } from './rows.ts';

export type Raw = Record<string, unknown>;

/** Of the manifests; removed after the tests. */
export const root = mkdtempSync(join(tmpdir(), 'vidbatch-produce-'));
after(() => rmSync(root, { recursive: true, force: true }));

let files = 0;

/** A manifest that can be written anew; its batch is named after it. */
export class ManifestFile {
  readonly name = `batch-${++files}`;
  readonly path = join(root, `${this.name}.jsonl`);

  async write(rows: readonly Raw[]): Promise<this> {
    await writeFile(this.path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return this;
  }
}

export const ORIGIN = 'https://provider.example';

export function row(id: string | number, more: Raw = {}): Raw {
  return { id: String(id), model: 'viduq3p-720p', prompt: `prompt ${id}`, ...more };
}

/** Without an id. */
export function plain(prompt: string, more: Raw = {}): Raw {
  return { model: 'viduq3p-720p', prompt, ...more };
}

export function bring(db: Database, file: ManifestFile, options: ProduceOptions = {}): Promise<Produced> {
  return produce(db, file.path, { origin: ORIGIN, ...options });
}

export async function submissions(db: Database, file: ManifestFile): Promise<SubmissionView[]> {
  const batch = await findBatch(db, file.name);
  const rows: SubmissionView[] = [];
  for await (const one of readSubmissions(db, batch?.id ?? 0)) rows.push(one);
  return rows;
}

export async function states(db: Database, file: ManifestFile): Promise<string[]> {
  return (await submissions(db, file)).map(({ state }) => state);
}

/** Sends the row with this prompt. */
export async function send(db: Database, file: ManifestFile, ...prompts: string[]): Promise<void> {
  const batch = (await findBatch(db, file.name)) as Batch;
  await db.query('update vidbatch.batch set proven = true where id = $1', [batch.id]);
  const all = await submissions(db, file);
  for (const prompt of prompts) {
    const found = all.find(({ request }) => (JSON.parse(request ?? '{}') as Raw)['prompt'] === prompt);
    assert.ok(found, prompt);
    const [claimed] = await claimAll(db, { origin: ORIGIN }, [found.id]);
    assert.ok(claimed);
    await recordOne(db, claimed, 'accepted');
  }
}

/** Refused with this code and exit code, every part in its message, and nothing changed by it. */
export async function refused(
  db: Database,
  file: ManifestFile,
  options: ProduceOptions,
  code: string,
  exitCode: number,
  ...parts: string[]
): Promise<void> {
  const see = async (): Promise<unknown> =>
    (await submissions(db, file)).map(({ updatedAt: _moves, ...rest }) => rest);
  const unchanged = await see();
  await assert.rejects(bring(db, file, options), (error) => {
    assert.ok(error instanceof VidbatchError, String(error));
    assert.deepEqual([error.code, error.exitCode], [code, exitCode], error.message);
    for (const part of parts) assert.ok(error.message.includes(part), `${error.message}\nlacks ${part}`);
    return true;
  });
  assert.deepEqual(await see(), unchanged);
  const { rows } = await db.query('select from vidbatch.staged');
  assert.equal(rows.length, 0, 'nothing is left half way');
}

export function told({ rows, added, known, updated, pruned, invalid }: Produced): Partial<Produced> {
  return Object.fromEntries(
    Object.entries({ rows, added, known, updated, pruned, invalid }).filter(([, n]) => n > 0),
  );
}
