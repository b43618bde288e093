/** What no profile and no answer can change: payments are not repeated, and the key goes to no other host. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { dialectOf } from '../../src/provider/dialect.ts';
import { judge } from '../../src/provider/judgement.ts';
import { builtInNames } from '../../src/provider/profile/built-in.ts';
import { loadProfile } from '../../src/provider/profile/load.ts';
import { profileSchema, type Profile } from '../../src/provider/profile/schema.ts';
import { Requests } from '../../src/provider/request.ts';
import { readTask } from '../../src/provider/task-answer.ts';
import { answer, profileWith } from './answers.ts';
import { API_KEY, BODY, provider } from './fixture.ts';
import { http, wireServer } from './server.ts';

const CODES = ['busy', 'rate_limit', 'insufficient_quota', '1302', 'task_error', 'queued'];
const TEXTS = ['busy', 'try later', 'task', 'a'];
const PLACES = [
  'code',
  'error.code',
  'message',
  'status',
  'data',
  'data.code',
  'id',
  'task_id',
  'x[].y',
  '.',
  '[0].id',
];

const kind = fc.constantFrom('rejected', 'throttled', 'not-sent', 'halted', 'uncertain');
const place = fc.constantFrom(...PLACES);
const places = fc.uniqueArray(place, { maxLength: 4 });
const status = fc.constantFrom('2xx', '3xx', '4xx', '5xx', 200, 429, 503);

const base = profileWith();
const { shape } = profileSchema;

/** Profiles as careless as the format allows. */
const profiles: fc.Arbitrary<Profile> = fc
  .record({
    taskId: places,
    id: places,
    idPrefix: fc.constantFrom([], ['x_']),
    prefixedId: places,
    code: places,
    message: places,
    error: places,
    success: places,
    well: fc.constantFrom([], ['', '0', '2xx', 'ok'], CODES),
    wrapper: fc.constantFrom(undefined, { code: 'busy', at: ['message'] }),
    codes: fc.array(
      fc.record({ code: fc.constantFrom(...CODES), wrapped: fc.boolean(), status, outcome: kind }),
      { maxLength: 6 },
    ),
    texts: fc.array(fc.record({ text: fc.constantFrom(...TEXTS), status, outcome: kind }), { maxLength: 4 }),
    statuses: fc.array(
      fc.record({ status: fc.constantFrom(400, 401, '426-499', 429, '301-302'), outcome: kind }),
      {
        maxLength: 4,
      },
    ),
    words: places,
    result: places,
    reason: places,
  })
  .map((made) => {
    const idPlaces = made.taskId.length + made.id.length + made.prefixedId.length;
    const written = {
      create: {
        taskId: idPlaces === 0 ? ['task_id'] : made.taskId,
        id: made.id,
        idPrefix: made.idPrefix,
        prefixedId: made.prefixedId,
      },
      answers: {
        code: made.code,
        message: made.message,
        error: made.error,
        success: made.success,
        well: made.well,
        ...(made.wrapper === undefined ? {} : { wrapper: made.wrapper }),
      },
      outcomes: { codes: made.codes, texts: made.texts, statuses: made.statuses },
      task: {
        id: made.id,
        // A profile without a place of the status, or of any id, cannot be read.
        status: made.words.length === 0 ? ['status'] : made.words,
        result: made.result,
        reason: made.reason,
        resultIn: made.result,
      },
    };
    return {
      ...base,
      create: { ...base.create, ...shape.create.parse({ path: '/c', ...written.create }) },
      answers: shape.answers.parse(written.answers),
      outcomes: shape.outcomes.parse(written.outcomes),
      task: shape.task.parse({ path: '/t/{id}', words: base.task.words, ...written.task }),
    };
  });

const scalar = fc.oneof(
  fc.constantFrom(...CODES, ...TEXTS, 'task_1', 'x_1', '', 0, 7, null, true, false),
  fc.string({ maxLength: 8 }),
);
const bodies = fc.oneof(
  fc.json({ maxDepth: 3 }),
  fc.string(),
  fc
    .dictionary(
      fc.constantFrom('code', 'error', 'message', 'data', 'id', 'status', 'x', 'success'),
      fc.oneof(scalar, fc.dictionary(fc.constantFrom('code', 'message', 'id', 'y'), scalar)),
    )
    .map((value) => JSON.stringify(value)),
);
const httpStatus = fc.oneof(
  fc.constantFrom(200, 202, 301, 303, 400, 401, 402, 409, 429, 500, 503),
  fc.integer({ min: 100, max: 700 }),
);

/** Ways in which an answer names a task. */
const naming = fc
  .tuple(
    fc.constantFrom('task_id', 'taskId', 'task-id'),
    fc.oneof(fc.stringMatching(/^[a-z0-9]{1,12}$/), fc.bigInt({ min: 1n, max: 2n ** 64n })),
    fc.constantFrom('top', 'data', 'deep', 'list', 'text', 'cut', 'stream'),
    fc.dictionary(fc.constantFrom('code', 'message', 'error', 'status'), fc.constantFrom(...CODES, ...TEXTS)),
  )
  .map(([key, id, where, rest]) => {
    const member = `"${key}":${typeof id === 'bigint' ? String(id) : JSON.stringify(id)}`;
    const others = JSON.stringify(rest).slice(1, -1);
    const before = others === '' ? '' : `${others},`;
    switch (where) {
      case 'top':
        return `{${before}${member}}`;
      case 'data':
        return `{${before}"data":{${member}}}`;
      case 'deep':
        return `{${before}"x":{"y":[{${member}}]}}`;
      case 'list':
        return `[{${before}${member}}]`;
      case 'text':
        return `{${before}"text":${JSON.stringify(`{${member}}`)}}`;
      case 'cut':
        return `{${before}${member},"x":`;
      case 'stream':
        return `data: {${before}${member}}\n\n`;
    }
  });

describe('by any profile', () => {
  it('an answer that names a task is accepted or uncertain', () => {
    fc.assert(
      fc.property(profiles, httpStatus, naming, (profile, code, body) => {
        const { kind: judged } = judge(answer(code, body), dialectOf(profile), { now: 0 });
        assert.ok(judged === 'accepted' || judged === 'uncertain', judged);
      }),
      { numRuns: 600 },
    );
  });

  it('any answer gets an outcome and a report, and only a 2xx is accepted', () => {
    const headers = fc.dictionary(fc.constantFrom('retry-after', 'date', 'location'), fc.string());
    fc.assert(
      fc.property(profiles, httpStatus, fc.oneof(bodies, naming), headers, (profile, code, body, given) => {
        const dialect = dialectOf(profile);
        const outcome = judge(answer(code, body, given), dialect, { now: 0 });
        if (outcome.kind === 'accepted')
          assert.ok(code >= 200 && code <= 299 && outcome.taskId.trim() !== '');
        if (code >= 300 && code <= 399) assert.ok(outcome.kind === 'halted' || outcome.kind === 'uncertain');
        readTask(answer(code, body, given), dialect, { now: 0 });
      }),
      { numRuns: 600 },
    );
  });

  it('what a proxy may send is uncertain without a code or words', () => {
    const proxies = fc.constantFrom(303, 408, 409, 425, 500, 502, 503, 504, 524);
    const silent = fc.constantFrom('', '<html></html>', '{}', '[]', 'null');
    fc.assert(
      fc.property(profiles, proxies, silent, (profile, code, body) => {
        const texts = profile.outcomes.texts.filter(({ text }) => text.some((one) => one !== 'a'));
        const quiet = { ...profile, outcomes: { ...profile.outcomes, texts } };
        assert.equal(judge(answer(code, body), dialectOf(quiet), { now: 0 }).kind, 'uncertain');
      }),
    );
  });
});

describe('by each built-in profile', () => {
  for (const name of builtInNames()) {
    it(`${name}: an answer that names a task is accepted or uncertain`, () => {
      const { profile } = loadProfile(name);
      const dialect = dialectOf(profile);
      fc.assert(
        fc.property(httpStatus, naming, (code, body) => {
          const { kind: judged } = judge(answer(code, body), dialect, { now: 0 });
          assert.ok(judged === 'accepted' || judged === 'uncertain', judged);
        }),
      );
    });
  }
});

describe('a request', () => {
  const row = fc.dictionary(
    fc.constantFrom('model', 'prompt', 'image', 'last_image', 'duration', 'extra_body', '__proto__', 'x'),
    fc.jsonValue({ maxDepth: 2 }),
  );
  for (const name of builtInNames()) {
    it(`by ${name} is a path below the base URL and an object, for any row`, () => {
      const { profile } = loadProfile(name);
      const base = { baseUrl: 'https://api.example/gw', apiKey: API_KEY, headers: {} };
      const requests = new Requests(profile, base);
      fc.assert(
        fc.property(row, fc.string(), fc.string(), (fields, taskId, url) => {
          const made = requests.create(JSON.stringify(fields), 'k');
          assert.ok(made !== undefined && Object.values(profile.create.path).includes(made.path.slice(3)));
          assert.equal(typeof JSON.parse(made.body), 'object');
          assert.ok(requests.queryPath(taskId).startsWith('/gw/'));
          assert.match(requests.queryPath(taskId, url), /^\/[!-~]*$/);
          assert.match(requests.queryUrlOf(url) ?? '/', /^\/[!-~]*$/);
        }),
      );
    });
  }
});

describe('the key', () => {
  it('goes to the origin of the base URL alone, for any profile and any answer', async (t) => {
    const evil = await wireServer(({ socket }) =>
      socket.end(http(200, '{"id":"task_evil","status":"done"}')),
    );
    t.after(() => evil.close());
    const { host } = new URL(evil.url);
    const told = [
      evil.url,
      `//${host}`,
      `//${host}/x`,
      `\\\\${host}`,
      `/\\${host}`,
      `@${host}`,
      `.${host}`,
      `${evil.url}/v1/t`,
    ];
    let reply = '';
    const own = await wireServer(({ socket }) => socket.write(reply));
    t.after(() => own.close());
    const lines = [
      ['create: { queryUrl: [at, urls.get] }'],
      ['create: { queryUrl: [at] }', "task: { content: '/v1/{id}/content' }"],
      ['create: { queryUrl: [at] }', "auth: { header: X-Key, prefix: 'Key ' }"],
      ['create: { headers: { Origin: "http://evil.example", Referer: "http://evil.example" } }'],
    ];
    for (const line of lines) {
      const made = provider(t, own.url, { profile: profileWith(...line) });
      for (const url of told) {
        const body = JSON.stringify({
          id: 'task_1',
          status: 'done',
          at: url,
          urls: { get: url },
          video_url: url,
        });
        for (const status of [200, 302, 307, 429]) {
          reply = http(status, body, { location: url, 'content-location': url, refresh: `0;url=${url}` });
          const outcome = await made.create(BODY, { idempotencyKey: 'k' });
          const queryUrl = outcome.kind === 'accepted' ? outcome.queryUrl : url;
          await made.query(url, queryUrl === undefined ? {} : { queryUrl });
          const report = await made.query('task_1', { queryUrl: url });
          for (const result of [url, report.kind === 'task' ? (report.resultUrl ?? '') : ''])
            if (URL.parse(result)?.origin !== own.url) assert.deepEqual(made.headersFor(result), {}, result);
        }
      }
    }
    assert.equal(evil.requests.length, 0);
    assert.ok(own.requests.length > 100);
    for (const { headers, path } of own.requests) {
      assert.ok(JSON.stringify(headers).includes(API_KEY));
      assert.equal(headers['host'], new URL(own.url).host);
      assert.match(path, /^\//);
    }
  });
});
