import { mkdtempSync, rmSync } from 'node:fs';
import type * as Sqlite from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf, VidbatchError } from './errors.ts';

let loaded: typeof Sqlite | undefined;

/** Node's own SQLite, for a file lock and scratch tables. Node 22 warns that it is experimental; users cannot act on it. */
export function sqlite(): typeof Sqlite {
  if (loaded !== undefined) return loaded;
  const emitWarning = process.emitWarning.bind(process) as (...args: unknown[]) => void;
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    if (!String(warning).includes('SQLite is an experimental feature')) emitWarning(warning, ...rest);
  };
  try {
    loaded = process.getBuiltinModule('node:sqlite');
    return loaded;
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** The ids of a manifest so far, each with its first occurrence. On disk: memory does not grow with their number. */
interface IdIndex {
  /** Adds the id. Returns its first occurrence if it was there before. */
  add(id: string, first: Occurrence): Occurrence | undefined;
  find(id: string): Occurrence | undefined;
  close(): void;
}

interface Occurrence {
  line: number;
  /** As it was written. */
  text: string;
}

/** @throws VidbatchError `SCRATCH_FILES` when a temporary file cannot be made or written. */
export function openIdIndex(): IdIndex {
  const { db, close } = openScratch(
    'create table id (id text primary key, line integer not null, text text not null) without rowid',
  );
  const insert = db.prepare('insert into id (id, line, text) values (?, ?, ?) on conflict do nothing');
  const select = db.prepare('select line, text from id where id = ?');
  const find = (id: string): Occurrence | undefined =>
    onScratch(() => select.get(id) as Occurrence | undefined);
  return {
    add(id, { line, text }) {
      return onScratch(() => insert.run(id, line, text)).changes === 1 ? undefined : find(id);
    },
    find,
    close,
  };
}

/** Counts equal texts. On disk, too. */
export interface Counter {
  /** Counts the text, and returns how often it has occurred, this time included. */
  add(text: string): number;
  close(): void;
}

/** @throws VidbatchError `SCRATCH_FILES` when a temporary file cannot be made or written. */
export function openCounter(): Counter {
  const { db, close } = openScratch(
    'create table counter (text text primary key, n integer not null) without rowid',
  );
  const count = db.prepare(
    'insert into counter (text, n) values (?, 1) on conflict do update set n = n + 1 returning n',
  );
  return { add: (text) => onScratch(() => (count.get(text) as { n: number }).n), close };
}

/** A database in a temporary folder, which `close` deletes. It is never recovered, so durability would only cost time. */
function openScratch(table: string): { db: Sqlite.DatabaseSync; close: () => void } {
  const folder = onScratch(() => mkdtempSync(join(tmpdir(), 'vidbatch-ids-')));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    return onScratch(() => {
      const db = new (sqlite().DatabaseSync)(join(folder, 'ids.db'));
      db.exec('pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -4000');
      db.exec(`${table}; begin`);
      const close = (): void => {
        db.close();
        remove();
      };
      return { db, close };
    });
  } catch (error) {
    remove();
    throw error;
  }
}

/** SQLite's errors do not name the path. */
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
