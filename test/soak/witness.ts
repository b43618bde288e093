/**
 * Preloaded into workers (`NODE_OPTIONS=--import …`): writes down, outside of the program under test, every task id
 * whose answer the program says that it has put on its disk. From then on no death may lose it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
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
  const jobs = new AsyncLocalStorage<{ request?: object }>();
  const bodies = new WeakMap<object, string>();
  // Between taking its job and the record of its answer, a row stays in one asynchronous context.
  subscribe('vidbatch:job-taken', () => jobs.enterWith({}));
  subscribe('undici:request:create', (message) => {
    const job = jobs.getStore();
    if (job !== undefined) job.request = (message as { request: object }).request;
  });
  subscribe('undici:request:bodyChunkReceived', (message) => {
    const { request, chunk } = message as { request: object; chunk: Buffer };
    bodies.set(request, (bodies.get(request) ?? '') + chunk.toString('latin1'));
  });
  subscribe('vidbatch:answer-journaled', () => {
    const { request } = jobs.getStore() ?? {};
    const taskId = taskIdIn((request && bodies.get(request)) ?? '');
    if (taskId !== undefined) writeSync(file, `${taskId}\n`);
  });
}

/** Of a whole answer: one that broke off is not an answer. */
function taskIdIn(body: string): string | undefined {
  try {
    return (JSON.parse(body) as { task_id?: string }).task_id;
  } catch {
    return undefined;
  }
}
