// `npm run demo`: the real command line on the samples of this folder, against the stand-in provider, which runs
// as a process of its own and is spoken to over HTTP. Nothing is sent anywhere else, and nothing is left behind.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const cli = fileURLToPath(new URL('../bin/vidbatch.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'vidbatch-demo-'));
const record = join(folder, 'accepted.jsonl');
const samples = ['text.csv', 'image.jsonl', 'start-end.csv', 'reference.json', 'storyboard.json'].map((name) =>
  join('jobs', name),
);

const standIn = spawn(
  process.execPath,
  [cli, 'simulate', '--port', '0', '--json', '--record', record, '--latency', '300ms-900ms'],
  { stdio: ['ignore', 'pipe', 'ignore'] },
);

try {
  const { url } = await readAddress(standIn);
  say(`the stand-in provider listens on ${url}`);
  const env = {
    ...process.env,
    VIDBATCH_BASE_URL: url,
    VIDBATCH_API_KEY: 'demo-key',
    VIDBATCH_DATA_DIR: join(folder, 'data'),
  };
  delete env.REDIS_URL;
  delete env.DATABASE_URL;

  process.exitCode = await vidbatch(['run', ...samples], env);
  say('the same again: nothing is sent twice');
  process.exitCode ||= await vidbatch(['run', ...samples, '--log-level', 'warn'], env);
  process.exitCode ||= await vidbatch(['explain', 'text', 'harbor-01'], env);

  const accepted = readFileSync(record, 'utf8').trimEnd().split('\n').length;
  say(`by its own record, the stand-in accepted ${accepted} requests`);
} finally {
  standIn.kill();
  rmSync(folder, { recursive: true, force: true });
}

async function readAddress(child) {
  for await (const line of createInterface({ input: child.stdout })) return JSON.parse(line);
  throw new Error('the stand-in provider did not start');
}

async function vidbatch(args, env) {
  say(`$ npx vidbatch ${args.join(' ')}`);
  const [code] = await once(spawn(process.execPath, [cli, ...args], { stdio: 'inherit', env }), 'exit');
  return code ?? 1;
}

function say(line) {
  process.stdout.write(`\n${line}\n`);
}
