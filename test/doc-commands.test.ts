import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Command, CommanderError } from 'commander';
import { commandsFor } from '../src/cli/cli.ts';
import { configureHelp } from '../src/cli/help.ts';
import { docCommands, ROOT } from './doc-commands.ts';
import { idleIo } from './help.ts';

/** What a sentence may leave out when it names a command. */
const LEFT_OUT = ['commander.missingArgument', 'commander.optionMissingArgument', 'commander.help'];

const unasked = (): never => assert.fail('a command did more than to parse its command line');
const io = idleIo(unasked);

/** What the program says of this command line; undefined: it knows the command, the flags and their number of arguments. */
async function faultOf(args: readonly string[], whole: boolean): Promise<string | undefined> {
  const silent = { write: () => undefined, width: 80 };
  const program = configureHelp(new Command('vidbatch'), silent)
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  for (const register of await commandsFor(args)) register(program, io, unasked);
  doNothing(program);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0 || (!whole && LEFT_OUT.includes(error.code))) return undefined;
    return error.message;
  }
}

function doNothing(command: Command): void {
  if (command.commands.length === 0) command.action(() => undefined);
  else for (const sub of command.commands) doNothing(sub);
}

describe('a command in README and docs', () => {
  const commands = docCommands();

  it('is found in blocks, behind a prompt, in sentences, and behind other commands', () => {
    const found = (page: string, line: string): void =>
      assert.ok(
        commands.some(({ page: of, args }) => of === page && args.join(' ') === line),
        `${page}: ${line}`,
      );
    found('README.md', 'download prompts --allow-private');
    found('README.md', 'simulate --port 8787');
    found('README.zh-CN.md', 'export prompts --bom');
    found('docs/deploy.md', 'submit /jobs/text.csv');
    found('docs/reconciliation.md', 'reconcile --watch');
    found('docs/commands.md', 'submit - --format jsonl --batch tonight');
    found(
      'docs/commands.md',
      'schedule add nightly jobs/offpeak.csv --cron 0 23 * * * --tz Asia/Shanghai --window 23:00-07:00 Asia/Shanghai --jitter 5m',
    );
  });

  it('is one that the program knows, with flags that it knows', async () => {
    const faults: string[] = [];
    for (const { page, args, whole } of commands) {
      // A placeholder: `vidbatch <command>`, `vidbatch …`.
      if (/^[<…]/.test(args[0] ?? '')) continue;
      const fault = await faultOf(args, whole);
      if (fault !== undefined) faults.push(`${page}: vidbatch ${args.join(' ')}: ${fault}`);
    }
    assert.deepEqual(faults, []);
  });

  it('takes samples that are there', () => {
    const gone = commands.flatMap(({ page, args }) =>
      args
        .filter((arg) => arg.startsWith('jobs/') && !existsSync(`${ROOT}/${arg}`))
        .map((arg) => `${page}: ${arg}`),
    );
    assert.deepEqual(gone, []);
  });
});
