import { emitWarning as original, getBuiltinModule } from 'node:process';

/**
 * Node's own SQLite, for a file lock and for scratch tables on disk. Node 22 still calls it experimental, once, on
 * stderr: nothing that our user could act on.
 */
export function sqlite(): typeof import('node:sqlite') {
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    if (String(warning).includes('SQLite is an experimental feature')) return;
    Reflect.apply(original, process, [warning, ...rest]);
  };
  try {
    return getBuiltinModule('node:sqlite');
  } finally {
    process.emitWarning = original;
  }
}
