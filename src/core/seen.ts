import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sqlite } from './sqlite.ts';

/** Which ids there have been so far, and where. On disk: memory does not grow with their number. */
export interface Seen {
  /** Remembers the id; answers with its first occurrence if it was there before. */
  add(id: string, first: Occurrence): Occurrence | undefined;
  find(id: string): Occurrence | undefined;
  close(): void;
}

export interface Occurrence {
  line: number;
  /** As it was written. */
  text: string;
}

export function openSeen(): Seen {
  const { DatabaseSync } = sqlite();
  const folder = mkdtempSync(join(tmpdir(), 'vidbatch-ids-'));
  const db = new DatabaseSync(join(folder, 'ids.db'));
  // Thrown away at the end: durability would only cost.
  db.exec('pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -4000');
  db.exec('create table seen (id text primary key, line integer not null, text text not null) without rowid');
  db.exec('begin');
  const insert = db.prepare('insert into seen (id, line, text) values (?, ?, ?) on conflict do nothing');
  const select = db.prepare('select line, text from seen where id = ?');
  const find = (id: string): Occurrence | undefined => select.get(id) as Occurrence | undefined;
  return {
    add(id, { line, text }) {
      return insert.run(id, line, text).changes === 1 ? undefined : find(id);
    },
    find,
    close() {
      db.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
