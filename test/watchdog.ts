/**
 * Loaded by the runner into every process that runs tests. Node's own `--test-timeout` fails a test that hangs but leaves its
 * process running, and nothing in it looks for handles that were left open. Here both end the file, hard.
 */
import { after } from 'node:test';
import { Worker } from 'node:worker_threads';

const LIMIT_MS = Number(process.env['VIDBATCH_TEST_LIMIT_MS'] ?? 820_000);
/** After the last test of a file: sockets and pools that were closed need a moment to be gone. */
const LEAK_MS = 60_000;

if (process.env['NODE_TEST_CONTEXT'] !== undefined || process.execArgv.includes('--test-isolation=none')) {
  // On a thread of its own: it must bite when the file's loop is blocked, too.
  const bite = `
    const { writeSync } = require('node:fs');
    setTimeout(() => {
      writeSync(2, ${JSON.stringify(`${process.argv[1]}: not over after ${LIMIT_MS / 1000} s: killed\n`)});
      process.kill(process.pid, 'SIGKILL');
    }, ${LIMIT_MS});`;
  // Neither this flag nor the tests' own environment is for the thread.
  new Worker(bite, { eval: true, execArgv: [], env: {}, stdin: false }).unref();

  after(() => {
    // It holds nothing up; it fires only when something else does.
    setTimeout(() => {
      const open = process.getActiveResourcesInfo().join(', ');
      console.error(`${process.argv[1]}: the tests are over, and this was left open: ${open}`);
      process.kill(process.pid, 'SIGKILL');
    }, LEAK_MS).unref();
  });
}
