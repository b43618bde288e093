import assert from 'node:assert/strict';
import { Command } from 'commander';
import { commandsFor } from '../src/cli/cli.ts';

/** What `vidbatch <command> --help` prints, without a process for each. */
export async function helpOf(command: string): Promise<string> {
  let said = '';
  const program = new Command('vidbatch')
    .exitOverride()
    .configureOutput({ writeOut: (text) => (said += text) });
  const unasked = (): never => assert.fail(`${command} did more than to print its help`);
  const io = {
    out: unasked,
    err: unasked,
    write: unasked,
    quit: unasked,
    interactive: false,
    columns: 80,
    stdin: process.stdin,
  };
  for (const register of await commandsFor([command])) register(program, io, unasked);
  const printed = program.parseAsync([command, '--help'], { from: 'user' });
  await assert.rejects(printed, { code: 'commander.helpDisplayed', exitCode: 0 });
  return said;
}
