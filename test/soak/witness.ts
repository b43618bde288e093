/**
 * Preloaded into workers (`NODE_OPTIONS=--import …`): writes down, outside of the program under test, every task id
 * whose answer the program says that it has put on its disk. From then on no death may lose it.
 */
import { subscribe } from 'node:diagnostics_channel';
import { openSync, readFileSync, writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/** The environment in which a worker is watched, and where its task ids go. */
export function witnessed(path: string): Record<string, string> {
  return {
    NODE_OPTIONS: `--import=${pathToFileURL(import.meta.filename).href}`,
    VIDBATCH_TEST_WITNESS: path,
  };
}

/** The task ids that stood on a worker's disk, by its own word. */
export function readWitness(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').slice(0, -1);
  } catch {
    // No answer arrived.
    return [];
  }
}

const { VIDBATCH_TEST_WITNESS: path } = process.env;
if (path !== undefined) {
  const file = openSync(path, 'a');
  subscribe('vidbatch:answer-journaled', (message) => {
    const { taskId } = message as { taskId?: string };
    if (taskId !== undefined) writeSync(file, `${taskId}\n`);
  });
}
