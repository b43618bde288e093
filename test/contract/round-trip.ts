import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exportCsv, exportJsonl } from '../../src/batch/export.ts';
import { findBatch, type Batch } from '../../src/ledger/batches.ts';
import type { Database } from '../../src/database/database.ts';
import { readInputs, readSubmissions } from '../../src/ledger/read/rows.ts';
import { produce, type ProduceOptions, type Produced } from '../../src/batch/producer.ts';
import type { Dirty } from './dirty.ts';
import { root, told } from './manifest-file.ts';

export type Format = 'csv' | 'jsonl';

let files = 0;

/** Brings a manifest in, its invalid rows too; answers with the name of its batch. */
export async function bringIn(
  db: Database,
  { extension, content, ...options }: Omit<Dirty, 'content'> & { content: string | Buffer } & ProduceOptions,
): Promise<string> {
  const name = `trip-${++files}`;
  const path = join(root, `${name}.${extension}`);
  await writeFile(path, content);
  await produce(db, path, { keepGoing: true, ...options });
  return name;
}

export async function exportOf(db: Database, name: string, format: Format): Promise<string> {
  const batch = (await findBatch(db, name)) as Batch;
  const rows = readSubmissions(db, batch.id);
  const texts = format === 'csv' ? exportCsv(batch, readInputs(db, batch.id), rows) : exportJsonl(rows);
  let text = '';
  for await (const one of texts) text += one;
  return text;
}

/** Submits the text of an export to this batch. */
export async function submitExport(
  db: Database,
  batch: string,
  format: Format,
  text: string | Buffer,
  options: ProduceOptions = {},
): Promise<Produced> {
  const path = join(root, `results-${++files}.${format}`);
  await writeFile(path, text);
  return produce(db, path, { keepGoing: true, batch, ...options });
}

export async function rowsOf(db: Database, name: string): Promise<Record<string, unknown>[]> {
  const { rows } = await db.query(
    `select s.* from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id where b.name = $1
      order by s.line, s.id`,
    [name],
  );
  return rows;
}

/** The export comes back as the same rows: none is new, none is changed, and not a byte of the ledger is another. */
export async function comesBack(db: Database, name: string, format: Format): Promise<string> {
  const before = await rowsOf(db, name);
  const text = await exportOf(db, name, format);
  const { invalid: _invalid, ...produced } = told(await submitExport(db, name, format, text));
  assert.deepEqual(produced, { rows: before.length, known: before.length }, text);
  assert.deepEqual(await rowsOf(db, name), before, text);
  assert.equal(await exportOf(db, name, format), text);
  return text;
}

/** As a manifest of another batch it asks for the same, and what could not be sent still cannot be. */
export async function asksForTheSame(db: Database, name: string, format: Format): Promise<void> {
  const text = await exportOf(db, name, format);
  await submitExport(db, `${name}-${format}`, format, text);
  const asks = async (batch: string): Promise<unknown[]> =>
    (await rowsOf(db, batch)).map(({ content_hash: hash, state }) => [hash, state]);
  assert.deepEqual(await asks(`${name}-${format}`), await asks(name), text);
}
