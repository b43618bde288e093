import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { GlobalFlags } from '../../src/cli/flags/flags.ts';
import { formatLogLine, logOf } from '../../src/cli/log.ts';
import { endSending } from '../../src/cli/shutdown.ts';
import { plain, terminalText } from '../../src/cli/output/style.ts';
import { createLog } from '../../src/core/log.ts';

describe('what is logged', () => {
  function logged(flags: GlobalFlags): string {
    let text = '';
    const log = logOf(flags, 'warn', { destination: { write: (more) => (text += more) } });
    const row = { batch: 'text', key: 'shot-007', attempt: 1, attemptId: '6a', state: 'rejected' };
    log.warn(
      { event: 'rejected', ...row, httpStatus: 400, code: 'policy', reason: 'not \u001b[2J this' },
      'rejected',
    );
    return text;
  }

  test('is a readable line, and cannot control the terminal', () => {
    assert.match(
      logged({}),
      /^\d\d:\d\d:\d\d warn {2}text shot-007: rejected: not \\u001b\[2J this \(attempt 1, httpStatus 400, code policy\)\n$/,
    );
    const time = new Date(2026, 0, 31, 12, 0, 1).toISOString();
    assert.equal(
      plain(formatLogLine(JSON.stringify({ level: 'error', time, event: 'left', rows: 2, msg: 'left' }))),
      '12:00:01 error left (rows 2)',
      'in local time',
    );
  });

  test('is JSON for programs', () => {
    const { event, key } = JSON.parse(logged({ logFormat: 'json' })) as Record<string, unknown>;
    assert.deepEqual([event, key], ['rejected', 'shot-007']);
  });
});

describe('a person who stops a command', () => {
  async function told(inFlight: number): Promise<string[]> {
    const lines: string[] = [];
    const sending = { worker: { id: 'w', inFlight: () => inFlight }, close: () => Promise.resolve(0) };
    await endSending(sending, 135_000, createLog('silent'), (line) => lines.push(line));
    return lines;
  }

  test('sees what the command waits for, and for how long', async () => {
    assert.deepEqual(await told(0), []);
    assert.deepEqual(await told(1), ['waiting for 1 open call, 2m 15s at the most']);
    assert.deepEqual(await told(8), ['waiting for 8 open calls, 2m 15s at the most']);
  });
});

test('no text in a name controls the terminal, and lines stay lines', () => {
  assert.equal(
    terminalText('esc\u{1B}[31m.csv:2\u{9B}\r\n\tnext \u{202E}line'),
    String.raw`esc\u001b[31m.csv:2\u009b\u000d` + '\n\tnext ' + String.raw`\u202eline`,
  );
});
