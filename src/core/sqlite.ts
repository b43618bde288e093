import type * as Sqlite from 'node:sqlite';

let loaded: typeof Sqlite | undefined;

/**
 * Node's own SQLite, for a file lock and for scratch tables on disk. Node 22 still calls it experimental, once, on
 * stderr: nothing that our user could act on.
 */
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
