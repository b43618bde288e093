import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import { type Client, fields, start } from './client.ts';

/** The error of a connection that is tried now; undefined when it is up. */
async function refusal(client: Client): Promise<string | undefined> {
  const socket = connect(client.simulator.port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  } finally {
    socket.destroy();
  }
}

test('an outage cuts what is open, and ends; what was accepted stays', async (t) => {
  const client = await start(t);
  await client.create();
  const hung = assert.rejects(client.fault('timeout:created'));
  await client.simulator.reached({ accepted: 2 });
  const over = client.simulator.leave(1);
  await hung;
  await over;
  assert.equal((await client.create()).status, 200);
  assert.equal(client.simulator.record.length, 3);
});

test('an outage asked for from outside begins once it is answered', async (t) => {
  const client = await start(t);
  const asked = await client.send('POST', '/control/outage', { ms: 3_600_000 });
  assert.deepEqual([asked.status, fields(asked.text)], [200, { ms: 3_600_000 }]);
  await assert.rejects(client.create());
  await client.simulator.close();
});

test('an outage of no length is refused', async (t) => {
  const client = await start(t);
  for (const body of [{ ms: 0 }, { ms: 'long' }, {}, undefined]) {
    const seen = await client.send('POST', '/control/outage', body);
    assert.equal(seen.status, 400);
    assert.match(seen.text, /outage: /);
  }
  assert.equal((await client.create()).status, 200);
});

test('the fault outage answers, and then nothing listens for slowMs', async (t) => {
  const client = await start(t, { slowMs: 3_600_000 });
  const seen = await client.fault('outage');
  assert.equal(fields(seen.text)['task_id'], client.simulator.record[0]?.taskId);
  await assert.rejects(client.create());
  assert.equal(await refusal(client), 'ECONNREFUSED');
  assert.deepEqual(
    client.simulator.record.map(({ answered }) => answered),
    ['sent'],
  );
});
