import assert from 'node:assert/strict';
import { test } from 'node:test';
import { terminalText } from '../../src/cli/terminal-text.ts';

test('nothing in a name steers the terminal, and lines stay lines', () => {
  assert.equal(
    terminalText('esc\u{1B}[31m.csv:2\u{9B}\r\n\tnext \u{202E}line'),
    String.raw`esc\u001b[31m.csv:2\u009b\u000d` + '\n\tnext ' + String.raw`\u202eline`,
  );
});
