import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { countsOf, exits, job, jsonLines, lastLine, VIDBATCH } from '../cli.ts';
import { csvOf } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

const FAULTS = job('faults.csv');
const RULES: [line: number, column: string, rule: string][] = [
  [3, 'duration', 'duration-range'],
  [4, 'model', 'model-unknown'],
  [5, 'prompt', 'prompt-blank'],
  [6, 'last_image', 'last-image-without-image'],
  [8, 'reference_image_urls', 'mix-without-reference'],
  [9, 'aspect_ratio', 'aspect-ratio-unknown'],
  [10, 'image', 'url-not-http'],
  [11, '', 'ragged-row'],
  [12, 'extra_body.seed', 'seed-range'],
  [13, 'extra_body.audio', 'audio-type'],
  [14, 'reference_image_urls', 'reference-with-image'],
];

describe('a manifest with faults', async () => {
  const cli = await openCliOnPostgres();
  const { simulator } = cli;
  after(cli.close);

  it('is checked by validate: each fault is on one line, with file, line, column and rule', async () => {
    const ended = exits(await cli.run(['validate', FAULTS]), 3);
    const lines = ended.stderr.trimEnd().split('\n');
    assert.equal(lines.length, RULES.length, ended.stderr);
    for (const [i, [line, column, rule]] of RULES.entries()) {
      const place = `${FAULTS}:${line}${column === '' ? '' : ` ${column}`}: `;
      assert.ok(lines[i]?.startsWith(place), `${lines[i]} does not begin with ${place}`);
      assert.ok(lines[i]?.endsWith(` [${rule}]`), `${lines[i]} does not end with ${rule}`);
    }
  });

  it('without a column for the prompt gets one error, with the columns that it has', async () => {
    const file = await cli.write('unnamed.csv', 'id,text,model,"what\nfor"\na,a kite,viduq3p-720p,x\n');
    const hint =
      /unnamed\.csv(?::1)?: the header has no prompt, which .*"id", "text", "model", "what\\nfor"; .*--map prompt=text\b/gm;
    const validated = exits(await cli.run(['validate', file]), 3).stderr;
    assert.equal([...validated.matchAll(hint)].length, 1);
    assert.doesNotMatch(validated, /prompt-required/);
    assert.equal([...exits(await cli.run(['run', file]), 3).stderr.matchAll(hint)].length, 1);
    assert.doesNotMatch(exits(await cli.run(['validate', file, '--map', 'prompt=text']), 0).stderr, /header/);
  });

  it('sends nothing', async () => {
    const refused = exits(await cli.run(['run', FAULTS]), 3);
    assert.match(refused.stderr, /11 of 15 rows are invalid; nothing was sent \[INVALID_ROWS\]/);
    assert.equal((await simulator.stats()).creates, 0);
    assert.equal(exits(await cli.run(['status']), 0).stdout, '');
  });

  it('sends the valid rows with --keep-going, and exports the others with their faults', async () => {
    const ended = exits(await cli.run(['run', FAULTS, '--keep-going']), 4);
    assert.equal(lastLine(ended), '15 rows · 4 task ids · 11 invalid · paid twice: none known');
    assert.equal(simulator.accepted().length, 4);
    const { stdout } = exits(await cli.run(['export', 'faults', '--format', 'jsonl']), 0);
    const rows = jsonLines<{
      line: number;
      state: string;
      error_code: string | null;
      task_id: string | null;
    }>(stdout);
    assert.deepEqual(
      rows.filter(({ state }) => state === 'invalid').map((row) => [row.line, row.error_code]),
      RULES.map(([line, , rule]) => [line, rule]),
    );
    assert.ok(rows.every(({ state, task_id: id }) => (state === 'submitted') === (id !== null)));
    const retried = exits(await cli.run(['retry', 'faults', '--yes']), 0).stdout;
    assert.match(
      retried,
      /^faults: nothing to retry: .*; 11 invalid: correct them in the manifest, and `vidbatch run`/,
    );
  });

  it('queues nothing of any manifest when one of several is invalid', async () => {
    const fine = await cli.write('fine.csv', csvOf(2, 'fine'));
    const before = (await simulator.stats()).creates;
    const refused = exits(await cli.run(['run', fine, FAULTS, job('text.csv')]), 3);
    assert.match(refused.stderr, /faults\.csv: 11 rows are invalid; nothing was sent from any manifest/);
    assert.equal((await simulator.stats()).creates, before);
    const batches = jsonLines<{ batch: string }>(exits(await cli.run(['status', '--json']), 0).stdout);
    assert.deepEqual(
      batches.map(({ batch }) => batch),
      ['faults'],
    );
  });

  it('sends several when all are fine, with a receipt for each', async () => {
    const fine = await cli.write('fine.csv', csvOf(2, 'fine'));
    const ended = exits(await cli.run(['run', fine, job('text.csv')]), 0);
    assert.match(ended.stdout, /^fine: 2 rows · 2 task ids · paid twice: none known$/m);
    assert.match(ended.stdout, /^text: 12 rows · 12 task ids · paid twice: none known$/m);
  });

  it('may come on standard input, with a name and a format', async () => {
    const stdin =
      '{"model":"viduq3p-720p","prompt":"from a pipe"}\n{"model":"viduq3p-720p","prompt":"另一个"}\n';
    const args = ['run', '-', '--format', 'jsonl', '--batch', 'tonight', '--json'];
    const counts = countsOf(exits(await cli.run(args, { stdin }), 0));
    assert.equal(counts['submitted'], 2);
    assert.equal(simulator.accepted().filter(({ body }) => body.prompt === '另一个').length, 1);
  });
});

describe('a manifest from a pipe of the shell', async () => {
  const cli = await openCliOnPostgres();
  after(cli.close);

  it('is read once, from its beginning to its end', async () => {
    const rows = '"$@" <(printf "id,model,prompt\\np1,viduq3p-720p,a kite\\n") --format csv --batch piped';
    const program = ['bash', '-c', rows, 'bash', ...VIDBATCH];
    const ended = exits(await cli.run(['submit'], { program }), 0);
    assert.match(ended.stdout, /^piped: 1 row · 1 new/);
  });
});
