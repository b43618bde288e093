import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Command } from 'commander';
import type { Io } from '../../src/cli/output/io.ts';
import { reconcileCommand } from '../../src/cli/results/reconcile.ts';

const nothing = (): never => assert.fail('it went on');
const io: Io = {
  out: nothing,
  err: nothing,
  write: nothing,
  interactive: false,
  columns: 80,
  width: 80,
  stdin: process.stdin,
  quit: nothing,
};

async function reconcile(...args: string[]): Promise<void> {
  const program = new Command();
  reconcileCommand(program, io, nothing);
  await program.parseAsync(['reconcile', ...args], { from: 'user' });
}

describe('a flag of reconcile that would have no effect', () => {
  it('is refused without --provider-file', async () => {
    const refused = (message: RegExp) => ({ code: 'NO_PROVIDER_FILE', exitCode: 2, message });
    await assert.rejects(reconcile('--accept'), refused(/^--accept: /));
    await assert.rejects(reconcile('--differences', 'q.csv'), refused(/^--differences: /));
    await assert.rejects(reconcile('--prices', 'p.json', '--tz', 'UTC'), refused(/^--tz, --prices: /));
    await assert.rejects(reconcile('--clock-tolerance', '60s'), refused(/^--clock-tolerance: /));
  });

  it('is refused with --provider-file, where it is about asking', async () => {
    const refused = (message: RegExp) => ({ code: 'NOBODY_IS_ASKED', exitCode: 2, message });
    await assert.rejects(reconcile('--provider-file', 'f.csv', '--watch'), refused(/^--watch: /));
    await assert.rejects(
      reconcile('--provider-file', 'f.csv', '--ended', '--poll-rate', '1/s'),
      refused(/^--ended, --poll-rate: /),
    );
  });

  it('may be set in the environment, for other commands', async (t) => {
    process.env['VIDBATCH_PRICES'] = 'p.json';
    t.after(() => delete process.env['VIDBATCH_PRICES']);
    // It goes on to the next mistake.
    await assert.rejects(reconcile('--concurrency', 'many'), { code: 'BAD_NUMBER' });
  });
});
