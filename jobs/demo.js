// `npm run demo`: the real command line on the samples of this folder, against the simulated provider. The simulator is a
// process of its own on this machine, and speaks HTTP. The demo sends nothing anywhere else, and asks nothing.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, cpSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';

const cli = [...process.execArgv, fileURLToPath(new URL('../bin/vidbatch.js', import.meta.url))];
const samples = ['text.csv', 'image.jsonl', 'start-end.csv', 'reference.json', 'storyboard.json'];
const manifests = samples.map((name) => `jobs/${name}`);
const SHOWN_ROWS = 3;

// The commands run in this folder, and all that they make is in it. A `.env` of the checkout does not count here.
const folder = mkdtempSync(join(tmpdir(), 'vidbatch-demo-'));
const at = (name) => join(folder, name);
mkdirSync(at('jobs'));
for (const name of samples)
  cpSync(fileURLToPath(new URL(name, import.meta.url)), join(folder, 'jobs', name));
const env = withoutSettings(process.env);

say('The demo sends 40 sample rows to a simulated provider on this machine. It costs nothing.');
const simulator = spawn(
  process.execPath,
  [...cli, 'simulate', '--port', '0', '--json', '--record', at('accepted.jsonl'), '--latency', '300ms-900ms'],
  { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] },
);
let complaint = '';
simulator.stderr.on('data', (data) => (complaint += data));
process.once('exit', () => simulator.kill());
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));
process.exitCode = (await demo()) ? 0 : 1;
simulator.kill();

/** Resolves with whether every command went well. */
async function demo() {
  const listening = await readLine(simulator.stdout);
  if (listening === undefined) {
    process.stderr.write(`\nThe simulator did not start:\n${complaint}`);
    return false;
  }
  env.VIDBATCH_BASE_URL = JSON.parse(listening).url;
  env.VIDBATCH_API_KEY = 'demo-key';
  env.VIDBATCH_LOG_LEVEL = 'warn';
  const done =
    (await vidbatch(['run', ...manifests, '--yes'])) &&
    (await vidbatch(['run', ...manifests, '--yes'], { note: 'again: nothing is sent twice' })) &&
    (await vidbatch(['reconcile', '--watch'], { note: 'until the provider has made the videos' })) &&
    (await vidbatch(['download', 'text', '--allow-private'])) &&
    (await vidbatch(['export', 'text'], { into: 'results.csv' }));
  if (done) tellEnd();
  return done;
}

function tellEnd() {
  const rows = parse(readFileSync(at('results.csv')), { columns: true });
  const shown = rows
    .slice(0, SHOWN_ROWS)
    .map((row) => [row.row_key, row.state, row.task_id, row.provider_status]);
  table([['row_key', 'state', 'task_id', 'provider_status'], ...shown]);
  process.stdout.write(`… and ${rows.length - SHOWN_ROWS} more rows\n`);

  const accepted = readFileSync(at('accepted.jsonl'), 'utf8').split('\n').filter(Boolean).length;
  say(`By its own record, the simulator accepted ${accepted} requests.`);

  const videos = readdirSync(at('text.videos')).filter((name) => name.endsWith('.mp4')).length;
  say('The files:');
  table([
    [at('text.videos'), `${videos} videos`],
    [at('results.csv'), 'the export'],
  ]);
  say('Next:');
  table([
    ['npx vidbatch validate prompts.csv', 'check rows of your own; sends nothing'],
    [`npx vidbatch board --data-dir ${at('.vidbatch')}`, 'see the demo in a browser'],
    [`rm -r ${folder}`, 'remove the demo'],
  ]);
}

/** Runs a command in front of the user; resolves with whether it ended well. `into` is a file for what it prints. */
async function vidbatch(args, { note, into } = {}) {
  const typed = ['$ npx vidbatch', ...args, ...(into === undefined ? [] : ['>', into])].join(' ');
  say(note === undefined ? typed : `${typed}   # ${note}`);
  const stdout = into === undefined ? 'inherit' : openSync(at(into), 'w');
  const child = spawn(process.execPath, [...cli, ...args], {
    cwd: folder,
    env,
    stdio: ['inherit', stdout, 'inherit'],
  });
  const [code] = await once(child, 'exit');
  if (into !== undefined) closeSync(stdout);
  return code === 0;
}

/** A key, a server or a budget of the user's own is not for the demo. */
function withoutSettings(all) {
  return Object.fromEntries(
    Object.entries(all).filter(([name]) => !/^(VIDBATCH_|REDIS_URL|DATABASE_URL)/.test(name)),
  );
}

async function readLine(stream) {
  for await (const line of createInterface({ input: stream })) return line;
  return undefined;
}

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) {
    const cells = row.map((cell, column) => cell.padEnd(widths[column]));
    process.stdout.write(`  ${cells.join('   ').trimEnd()}\n`);
  }
}

function say(line) {
  process.stdout.write(`\n${line}\n`);
}
