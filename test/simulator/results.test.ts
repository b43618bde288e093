import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { request } from 'undici';
import { RESULT_FAULT_NAMES } from '../../src/simulator/delivery.ts';
import { Video } from '../../src/simulator/video.ts';
import { type Client, fields, start } from './client.ts';

const DONE = { task: { queuedMs: 0, runningMs: 0, resultBytes: 150_000 } };

async function get(client: Client, url: string, headers: Record<string, string> = {}) {
  const answer = await request(url, { dispatcher: client.agent, headers });
  return { status: answer.statusCode, headers: answer.headers, body: Buffer.from(await answer.body.bytes()) };
}

async function made(client: Client): Promise<string> {
  const id = await client.taskId();
  return fields((await client.query(id)).text)['video_url'] as string;
}

test('a video is the same bytes whenever it is asked for, and boxes all through', async (t) => {
  const client = await start(t, DONE);
  const url = await made(client);
  const [first, again] = [await get(client, url), await get(client, url)];
  assert.deepEqual([first.status, first.headers['content-type']], [200, 'video/mp4']);
  assert.equal(first.body.length, 150_000);
  assert.deepEqual(first.body, again.body);
  const boxes: string[] = [];
  for (let at = 0; at < first.body.length; at += first.body.readUInt32BE(at)) {
    boxes.push(first.body.toString('latin1', at + 4, at + 8));
  }
  assert.deepEqual(boxes, ['ftyp', 'moov', 'mdat']);
});

test('a video is given in ranges, unless it is another one by now', async (t) => {
  const client = await start(t, DONE);
  const url = await made(client);
  const { body, headers } = await get(client, url);
  const etag = String(headers['etag']);
  const rest = await get(client, url, { range: 'bytes=70000-', 'if-range': etag });
  assert.deepEqual([rest.status, rest.headers['content-range']], [206, 'bytes 70000-149999/150000']);
  assert.deepEqual(rest.body, body.subarray(70_000));
  const middle = await get(client, url, { range: 'bytes=65530-65545' });
  assert.deepEqual(middle.body, body.subarray(65_530, 65_546));
  assert.equal((await get(client, url, { range: 'bytes=5-', 'if-range': '"other"' })).body.length, 150_000);
  assert.equal((await get(client, url, { range: 'bytes=150000-' })).status, 416);
});

test('a URL dies, and is signed for no other video', async (t) => {
  let now = 1_000_000;
  const client = await start(t, { task: { ...DONE.task, resultMs: 5_000 }, now: () => now });
  const url = await made(client);
  assert.equal((await get(client, url)).status, 200);
  const other = await client.taskId();
  assert.equal((await get(client, url.replace(/task_[^.]+/, other))).status, 403);
  now += 5_001;
  assert.equal((await get(client, url)).status, 403);
  assert.equal(client.simulator.resultUrl(client.simulator.record[0]?.taskId ?? ''), url);
  client.simulator.configure({ task: { resultRenewed: true } });
  assert.equal(
    (await get(client, client.simulator.resultUrl(client.simulator.record[0]?.taskId ?? ''))).status,
    200,
  );
});

test('there is no video before the task has ended, nor for a request with a key', async (t) => {
  const client = await start(t, { task: { queuedMs: 0, runningMs: 60_000 } });
  const url = client.simulator.resultUrl(await client.taskId());
  assert.equal((await get(client, url)).status, 404);
  client.simulator.configure({ task: { runningMs: 0 } });
  assert.equal((await get(client, url, { authorization: 'Bearer sk-test' })).status, 400);
  assert.equal((await get(client, url)).status, 200);
  assert.equal(client.simulator.stats().results, 3);
});

suite('faults', () => {
  test('strike by rule and by rate', async (t) => {
    const client = await start(t, DONE);
    const url = await made(client);
    client.simulator.faults.add({ on: 'result', match: { prompt: 'kite', times: 1 }, fault: 'result-html' });
    assert.match((await get(client, url)).body.toString(), /^<!DOCTYPE html>/);
    assert.equal((await get(client, url)).status, 200);
    client.simulator.configure({ resultFaults: ['result-gone=1'] });
    assert.equal((await get(client, url)).status, 410);
    assert.throws(
      () => client.simulator.faults.add({ on: 'result', fault: 'timeout' }),
      /not one of a result/,
    );
  });

  const BROKEN = ['result-truncated', 'result-reset', 'result-long'];
  const ENDLESS = ['result-endless', 'result-huge', 'result-stall'];
  for (const name of RESULT_FAULT_NAMES.filter((one) => !ENDLESS.includes(one))) {
    test(`${name} is ${BROKEN.includes(name) ? 'broken HTTP' : 'well-formed HTTP'}`, async (t) => {
      const client = await start(t, { ...DONE, slowMs: 20, resultFaults: [name] });
      const url = await made(client);
      if (BROKEN.includes(name)) await assert.rejects(get(client, url));
      else await get(client, url);
    });
  }

  test('without end continue for as long as they are read', async (t) => {
    const client = await start(t, { ...DONE, resultFaults: ['result-endless'] });
    const { body } = await request(await made(client), { dispatcher: client.agent });
    let seen = 0;
    for await (const chunk of body) {
      seen += (chunk as Buffer).length;
      if (seen > 3_000_000) break;
    }
    assert.ok(seen > 3_000_000);
  });
});

test('a range of a video is a part of the whole', () => {
  const video = new Video('any', 200_000);
  const whole = Buffer.concat([...video.bytes()]);
  assert.equal(whole.length, 200_000);
  assert.deepEqual(Buffer.concat([...video.bytes(65_535, 131_073)]), whole.subarray(65_535, 131_073));
  assert.notEqual(new Video('other', 200_000).etag, video.etag);
});
