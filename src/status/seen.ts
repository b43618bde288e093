import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sqlite } from '../sqlite.ts';

/** Which ids a manifest has had so far, and on which line. On disk: memory does not grow with the manifest. */
export interface Seen {
  /** Remembers the id; answers with the line of its first occurrence if it was there before. */
  add(id: string, line: number): number | undefined;
  close(): void;
}

export function openSeen(): Seen {
  const { DatabaseSync } = sqlite();
  const folder = mkdtempSync(join(tmpdir(), 'vidbatch-ids-'));
  const db = new DatabaseSync(join(folder, 'ids.db'));
  // Thrown away at the end: durability would only cost.
  db.exec('pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -4000');
  db.exec('create table seen (id text primary key, line integer not null) without rowid');
  db.exec('begin');
  const insert = db.prepare('insert into seen (id, line) values (?, ?) on conflict do nothing');
  const find = db.prepare('select line from seen where id = ?');
  return {
    add(id, line) {
      if (insert.run(id, line).changes === 1) return undefined;
      return find.get(id)?.['line'] as number;
    },
    close() {
      db.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
