import assert from 'node:assert/strict';
import { Command } from 'commander';
import { commandsFor } from '../src/cli/cli.ts';
import { configureHelp } from '../src/cli/help.ts';

/** What a command gets that must only define itself, or print its help: `unasked` fails the test. */
export function idleIo(unasked: () => never) {
  return {
    out: unasked,
    err: unasked,
    write: unasked,
    quit: unasked,
    interactive: false,
    columns: 80,
    width: 80,
    stdin: process.stdin,
  };
}

/** What `vidbatch <command> --help` prints, without a process for each. */
export async function helpOf(command: string, width = 80): Promise<string> {
  let said = '';
  const write = (text: string): void => void (said += text);
  const program = configureHelp(new Command('vidbatch'), { write, width }).exitOverride();
  const unasked = (): never => assert.fail(`${command} did more than to print its help`);
  const io = idleIo(unasked);
  for (const register of await commandsFor([command])) register(program, io, unasked);
  const printed = program.parseAsync([command, '--help'], { from: 'user' });
  await assert.rejects(printed, { code: 'commander.helpDisplayed', exitCode: 0 });
  return said;
}
