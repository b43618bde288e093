import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, describe, it } from 'node:test';
import { widthOf } from '../../src/core/width.ts';
import { exits, openCli } from '../cli.ts';
import { helpOf } from '../help.ts';

const COMMANDS =
  'validate plan submit work run status workers explain export uncertain resolve pause resume cancel priority retry reconcile download find failures cost report verify doctor notify profile schedule board simulate ledger migrate'.split(
    ' ',
  );

/** With these flags a person agrees to an act that is otherwise refused or asked about. They are given with each command. */
const AGREES = [
  '--yes',
  '--add',
  '--again',
  '--rebind',
  '--failed-tasks',
  '--accept-foreign-journals',
  '--force',
  '--with-prompts',
];

/** The words of a help. How they are broken into lines does not count. */
function wordsOf(help: string): string[] {
  return help.split(/[\s\\]+/);
}

function headings(help: string): string[] {
  return [...help.matchAll(/^[A-Z][a-z ]+:$/gm)].map(([heading]) => heading);
}

describe('help', async () => {
  const cli = await openCli();
  after(cli.close);

  it('is there for every command, with examples; .env.example names the flags without a variable', async () => {
    const sample = await readFile(new URL('../../.env.example', import.meta.url), 'utf8');
    const top = exits(await cli.run(['--help']), 0).stdout;
    for (const command of COMMANDS) assert.match(top, new RegExp(`^ {2}${command}\\b`, 'm'));
    for (const command of COMMANDS) {
      const help = await helpOf(command);
      assert.match(help, new RegExp(`^Usage: vidbatch ${command}\\b`));
      assert.match(help, /^Examples:\n {2}\$ .*vidbatch /m, `${command} shows no example`);
      for (const option of help.split(/^ {2}(?=-)/m).slice(1)) {
        const [, name = ''] = /(--[a-z-]+)/.exec(option) ?? [];
        const hasVariable = /env:\s/.test(option);
        if (AGREES.includes(name)) assert.ok(!hasVariable, `${command} ${name} has a variable`);
        if (command === 'resolve' || name === '--help' || hasVariable) continue;
        assert.ok(sample.includes(`\`${name}\``), `${command} ${name} has no variable`);
      }
      if (command === 'resolve') assert.match(help, /before that, --not-sent is refused/);
    }
  });

  it('fits a terminal of 80 columns, and uses the width of a wide one', async () => {
    for (const command of COMMANDS) {
      const narrow = await helpOf(command);
      for (const line of narrow.split('\n')) assert.ok(widthOf(line) <= 80, `${command}: ${line}`);
      const wide = await helpOf(command, 200);
      assert.deepEqual(wordsOf(wide), wordsOf(narrow), `${command}: no word is missing`);
      assert.ok(wide.split('\n').length < narrow.split('\n').length, command);
    }
  });

  it('breaks a long example so that a shell still takes it', async () => {
    assert.ok(
      (await helpOf('resolve')).includes(
        '\n  $ vidbatch resolve text --error-code ECONNRESET --after 2026-03-01T18:00Z \\\n      --not-sent --reason "their proxy was down"\n',
      ),
    );
  });

  it('has its commands and the flags of long commands in groups', async () => {
    const top = exits(await cli.run(['--help']), 0).stdout;
    assert.deepEqual(headings(top).slice(1, 5), ['Every day:', 'Trouble:', 'Results:', 'Operating:']);
    for (const command of ['submit', 'run', 'work', 'plan']) {
      const help = await helpOf(command);
      const groups = headings(help).slice(0, -1);
      const order = ['Manifest:', 'Sending:', 'Money:', 'Time:', 'Output:', 'Options:'];
      assert.deepEqual(
        groups,
        order.filter((group) => groups.includes(group)),
        command,
      );
      const [, rest = ''] = /^Options:\n([^]*?)\n\n/m.exec(help) ?? [];
      assert.deepEqual(
        [...rest.matchAll(/--[a-z-]+/g)].map(([flag]) => flag),
        ['--data-dir', '--help'],
        command,
      );
    }
  });

  it('of one command is printed as it is made', async () => {
    const { stdout } = exits(await cli.run(['resolve', '--help']), 0);
    assert.equal(stdout, await helpOf('resolve'));
  });

  it('is shown, with exit code 2, when there is no command', async () => {
    assert.match(exits(await cli.run([]), 2).stderr, /^Usage: vidbatch/);
  });

  it('knows its version', async () => {
    assert.match(exits(await cli.run(['--version']), 0).stdout, /^\d+\.\d+\.\d+\n$/);
  });
});

describe('a variable of a flag', async () => {
  const cli = await openCli({ VIDBATCH_API_KEY: 'sk-e2e' });
  after(cli.close);

  it('with the value no switches the flag off: plain http stays forbidden', async () => {
    const env = { VIDBATCH_BASE_URL: 'http://api.example.com', VIDBATCH_ALLOW_HTTP: 'false' };
    assert.match(exits(await cli.run(['work'], { env }), 2).stderr, /\[base-url-http\]/);
  });

  it('that is empty counts as not set', async () => {
    const env = { VIDBATCH_BASE_URL: '', VIDBATCH_RATE: '', VIDBATCH_CONCURRENCY: '' };
    assert.match(exits(await cli.run(['work'], { env }), 2).stderr, /\[NO_BASE_URL\]/);
  });
});
