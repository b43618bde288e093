import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { messageOf, VidbatchError } from './errors.ts';
import { sqlite } from './sqlite.ts';

/** The ids of a manifest so far, and where they were. On disk: memory does not grow with their number. */
export interface Seen {
  /** Remembers the id. Returns its first occurrence if it was there before. */
  add(id: string, first: Occurrence): Occurrence | undefined;
  find(id: string): Occurrence | undefined;
  close(): void;
}

export interface Occurrence {
  line: number;
  /** As it was written. */
  text: string;
}

/** @throws VidbatchError `SCRATCH_FILES` when a temporary file cannot be made or written. */
export function openSeen(): Seen {
  return openScratch(open);
}

/** How often there has been each text so far. On disk, too. */
export interface Tally {
  /** Counts the text once more, and answers how often there has been it with this time. */
  add(text: string): number;
  close(): void;
}

/** @throws VidbatchError `SCRATCH_FILES` when a temporary file cannot be made or written. */
export function openTally(): Tally {
  return openScratch((db, remove) => {
    db.exec('create table tally (text text primary key, n integer not null) without rowid');
    db.exec('begin');
    const count = db.prepare(
      'insert into tally (text, n) values (?, 1) on conflict do update set n = n + 1 returning n',
    );
    return {
      add: (text) => onScratch(() => (count.get(text) as { n: number }).n),
      close() {
        db.close();
        remove();
      },
    };
  });
}

/** Opens a scratch file. It is thrown away at the end: durability would only cost. */
function openScratch<T>(use: (db: DatabaseSync, remove: () => void) => T): T {
  const { DatabaseSync } = sqlite();
  const folder = onScratch(() => mkdtempSync(join(tmpdir(), 'vidbatch-ids-')));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    return onScratch(() => {
      const db = new DatabaseSync(join(folder, 'ids.db'));
      db.exec('pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -4000');
      return use(db, remove);
    });
  } catch (error) {
    remove();
    throw error;
  }
}

function open(db: DatabaseSync, remove: () => void): Seen {
  db.exec('create table seen (id text primary key, line integer not null, text text not null) without rowid');
  db.exec('begin');
  const insert = db.prepare('insert into seen (id, line, text) values (?, ?, ?) on conflict do nothing');
  const select = db.prepare('select line, text from seen where id = ?');
  const find = (id: string): Occurrence | undefined =>
    onScratch(() => select.get(id) as Occurrence | undefined);
  return {
    add(id, { line, text }) {
      return onScratch(() => insert.run(id, line, text)).changes === 1 ? undefined : find(id);
    },
    find,
    close() {
      db.close();
      remove();
    },
  };
}

/** SQLite does not name the path in its errors, and describes a full disk or too many open files in its own way. */
function onScratch<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new VidbatchError(
      'SCRATCH_FILES',
      `${tmpdir()}: cannot write the ids of the manifest to a temporary file: ${messageOf(cause)}`,
      {
        cause,
        hint: 'Free space in this folder, or set TMPDIR to another folder. If too many files are open, raise the limit, for example with `ulimit -n 1024`.',
      },
    );
  }
}
