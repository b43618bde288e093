import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fields, ROW, start } from './client.ts';

function recordFile(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'vidbatch-simulator-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, 'record.jsonl');
}

const lines = (path: string): Record<string, unknown>[] =>
  readFileSync(path, 'utf8').split('\n').slice(0, -1).map(fields);

test('the line is in the file before the client has its answer', async (t) => {
  const path = recordFile(t);
  const client = await start(t, { recordFile: path });
  const taskId = await client.taskId();
  assert.deepEqual(
    lines(path).map((line) => line['taskId']),
    [taskId],
  );
  await assert.rejects(client.fault('reset-after-body:created'));
  assert.deepEqual(lines(path), client.simulator.record);
});

test('a restarted simulator continues the record', async (t) => {
  const path = recordFile(t);
  const first = await start(t, { recordFile: path, seed: 9 });
  const before = await first.taskId();
  await first.fault('no-id:created');
  await first.simulator.close();

  const second = await start(t, { recordFile: path, seed: 9 });
  assert.equal(second.simulator.record.length, 2);
  assert.equal((await second.query(before)).status, 200);
  const after = await second.taskId();
  assert.notEqual(after, before);
  assert.deepEqual(
    lines(path).map((line) => line['requestNumber']),
    [1, 2, 3],
  );
  assert.equal(second.simulator.stats().accepted, 3);
});

test('a restarted simulator that honours keys knows the old ones', async (t) => {
  const path = recordFile(t);
  const first = await start(t, { recordFile: path });
  await first.create(ROW, { 'idempotency-key': 'k' });
  await first.simulator.close();
  const second = await start(t, { recordFile: path, honourIdempotency: true });
  const again = await second.create(ROW, { 'idempotency-key': 'k' });
  assert.equal(fields(again.text)['task_id'], second.simulator.record[0]?.taskId);
  assert.equal(lines(path).length, 1);
});

test('a last line that a kill cut off is dropped: its create was never answered', async (t) => {
  const path = recordFile(t);
  const first = await start(t, { recordFile: path });
  await first.create();
  await first.simulator.close();
  appendFileSync(path, '{"taskId":"task_cut');
  const second = await start(t, { recordFile: path });
  await second.create();
  assert.equal(second.simulator.record.length, 2);
  assert.deepEqual(lines(path), second.simulator.record);
});

test('a file that is not a record is refused by line', async (t) => {
  const path = recordFile(t);
  writeFileSync(path, '{"some":"thing"}\n');
  await assert.rejects(start(t, { recordFile: path }), /record\.jsonl:1: not an accepted create/);
});

test('without its record there is no success', async (t) => {
  const client = await start(t, { recordFile: '/dev/full' });
  const seen = await client.create();
  assert.equal(seen.status, 500);
  assert.match(seen.text, /simulator_error/);
  assert.equal(client.simulator.record.length, 0);
});

test('a port that is taken is an error with the address in it', async (t) => {
  const client = await start(t);
  await assert.rejects(start(t, { port: client.simulator.port }), {
    code: 'simulator-listen',
    message: new RegExp(`cannot listen on 127\\.0\\.0\\.1:${client.simulator.port}`),
  });
});
