/** What the simulator says in each dialect, compared with the words of the providers' documents. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { SimulatorOptions } from '../../src/simulator/server.ts';
import { dialectOf } from '../../src/simulator/dialects/dialects.ts';
import { fields, start, type Client, type Seen } from './client.ts';

const DONE = { queuedMs: 0, runningMs: 0 } as const;
const FIRST = { type: 'image_url', image_url: { url: 'https://example.com/a.png' }, role: 'first_frame' };
const TEXT = { type: 'text', text: 'a red kite' };

/** A create of each dialect, one that it refuses, and what it says about them. */
const SPOKEN = {
  'new-api': {
    path: '/v1/video/generations',
    good: { model: 'kling-v1', prompt: 'a red kite', duration: 5 },
    bad: { model: 'kling-v1', prompt: 'a red kite', aspect_ratio: '16:9' },
    created: { status: 'queued' },
    refused: { code: 'invalid_request', data: null },
    throttled: { error: { code: 'rate_limit_exceeded' } },
    completed: { status: 'completed', format: 'mp4', error: null },
  },
  'openai-videos': {
    path: '/v1/videos',
    good: { model: 'sora-2', prompt: 'a red kite', seconds: '8' },
    bad: { model: 'sora-2', prompt: 'a red kite', seconds: 8 },
    created: { object: 'video', status: 'queued', seconds: '8' },
    refused: { error: { type: 'invalid_request_error', code: 'invalid_value' } },
    throttled: { error: { type: 'rate_limit_error', code: 'rate_limit_exceeded' } },
    completed: { object: 'video', status: 'completed', progress: 100 },
  },
  vidu: {
    path: '/ent/v2/text2video',
    good: { model: 'viduq3-pro', prompt: 'a red kite', duration: 5 },
    bad: { model: 'viduq3-pro', prompt: 'a red kite', images: [] },
    created: { state: 'created', credits: 20 },
    refused: { code: 400, reason: 'FieldInvalid' },
    throttled: { code: 429, reason: 'TooManyRequests' },
    completed: { state: 'success', err_code: '', credits: 20 },
  },
  ark: {
    path: '/api/v3/contents/generations/tasks',
    good: { model: 'doubao-seedance-2-0', content: [TEXT, FIRST], ratio: '16:9', duration: 5 },
    bad: { model: 'doubao-seedance-2-0', content: [FIRST] },
    created: {},
    refused: { error: { code: 'InvalidParameter', type: 'BadRequest' } },
    throttled: { error: { code: 'RateLimitExceeded.EndpointRPMExceeded', type: 'TooManyRequests' } },
    completed: { status: 'succeeded', usage: { total_tokens: 108_900 } },
  },
  minimax: {
    path: '/v2/video_generation',
    good: { model: 'MiniMax-H3', content: [TEXT], ratio: '16:9', duration: 5 },
    bad: { model: 'MiniMax-H3', content: [TEXT], duration: 5 },
    created: {},
    refused: { type: 'error', error: { type: 'bad_request_error', http_code: '400' } },
    throttled: { error: { type: 'rate_limit_error', http_code: '429' } },
    completed: { status: 'succeeded', usage: { total_seconds: 5 } },
  },
  openrouter: {
    path: '/api/v1/videos',
    good: { model: 'google/veo-3.1', prompt: 'a red kite', duration: 8 },
    bad: { model: 'google/veo-3.1', prompt: 'a red kite', frame_images: [{ image_url: 'a' }] },
    created: { status: 'pending' },
    refused: { error: { code: 400 } },
    throttled: { error: { code: 429 } },
    completed: { status: 'completed', usage: { cost: 2 } },
  },
} as const;

const open = async (
  t: Parameters<typeof start>[0],
  profile: string,
  options: SimulatorOptions = {},
): Promise<{ client: Client; ask: (path: string, body?: unknown, more?: object) => Promise<Seen> }> => {
  const client = await start(t, { profile, task: DONE, ...options });
  const authorization = `${dialectOf(profile).keyPrefix}sk-test`;
  const ask = (path: string, body?: unknown, more = {}): Promise<Seen> =>
    client.send(body === undefined ? 'GET' : 'POST', path, body, { authorization, ...more });
  return { client, ask };
};

for (const [profile, { path, good, bad, ...says }] of Object.entries(SPOKEN)) {
  suite(profile, () => {
    test('a create is recorded, and its task can be asked for and downloaded', async (t) => {
      const { client, ask } = await open(t, profile);
      const created = await ask(path, good);
      assert.ok(created.status < 300, created.text);
      assert.partialDeepStrictEqual(fields(created.text), says.created);
      const [accepted] = client.simulator.record;
      assert.equal(accepted?.body.prompt, 'a red kite');
      assert.ok(created.text.includes(accepted.taskId));
      const { task, content } = dialectOf(profile);
      const seen = await ask(task.replace('{id}', accepted.taskId));
      assert.partialDeepStrictEqual(fields(seen.text), says.completed);
      if (content === undefined)
        return assert.ok(seen.text.includes(client.simulator.resultUrl(accepted.taskId)));
      const video = await ask(content.replace('{id}', accepted.taskId));
      assert.equal(video.headers['content-type'], 'video/mp4');
      const without = { authorization: '' };
      assert.equal((await ask(content.replace('{id}', accepted.taskId), undefined, without)).status, 401);
    });

    test('a refusal and a throttle have its shape, and are not recorded', async (t) => {
      const { client, ask } = await open(t, profile);
      const refused = await ask(path, bad);
      assert.equal(refused.status, 400, refused.text);
      assert.partialDeepStrictEqual(fields(refused.text), says.refused);
      const throttled = await ask(path, good, { 'x-simulate': 'throttle-seconds' });
      assert.equal(throttled.status, 429);
      assert.equal(throttled.headers['retry-after'], '1');
      assert.partialDeepStrictEqual(fields(throttled.text), says.throttled);
      assert.equal((await ask(path, good, { authorization: 'Basic x' })).status, 401);
      assert.equal(client.simulator.record.length, 0);
    });

    test('an answer that is lost is recorded', async (t) => {
      const { client, ask } = await open(t, profile);
      const cut = await ask(path, good, { 'x-simulate': 'truncated-json:created' });
      const [accepted] = client.simulator.record;
      assert.throws(() => fields(cut.text));
      const bare = await ask(path, good, { 'x-simulate': 'no-id:not-created' });
      assert.equal(client.simulator.record.length, 1);
      assert.ok(!cut.text.includes(accepted?.taskId ?? ''));
      assert.ok(!/"(task_|video_|job-|cgt-|9\d)/.test(bare.text), bare.text);
    });
  });
}

test('a list of models has those of the dialect, and those that were named', async (t) => {
  for (const profile of ['new-api', 'openai-videos', 'openrouter'] as const) {
    const { ask } = await open(t, profile, { models: ['one'] });
    const { path = '', names = [] } = dialectOf(profile).models ?? {};
    const listed = fields((await ask(path)).text)['data'] as { id: string }[];
    assert.deepEqual(
      listed.map(({ id }) => id),
      [...names, 'one'],
    );
    assert.equal((await ask(path, undefined, { authorization: '' })).status, 401);
  }
});

test('an unknown profile is refused with the known ones', () => {
  assert.throws(() => dialectOf('vidoo'), /did you mean vidu\?/);
});
