import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Pool } from 'pg';
import { countsOf, exits, json, jsonLines, lastLine, type Ended } from '../cli.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';

interface Listed {
  kind: 'uncertain' | 'surplus';
  key: string;
  idempotencyKey: string;
  taskId: string | null;
  surplus: string[];
  attempt: { phase: string; code: string; httpStatus: number | null; headers: Record<string, string> | null };
  request: { prompt: string };
}

describe('uncertain rows', async () => {
  const cli = await openCliOnPostgres();
  const { simulator } = cli;
  const db = new Pool({ connectionString: cli.databaseUrl, max: 1 });
  after(async () => {
    await db.end();
    await cli.close();
  });
  const listed = async (): Promise<Listed[]> =>
    jsonLines<Listed>(exits(await cli.run(['uncertain', 'lost', '--json']), 0).stdout);
  const resolve = (...args: string[]): Promise<Ended> => cli.run(['resolve', 'lost', ...args]);
  const shot = (key: string): string => `the shot ${key}`;
  const taskOf = (prompt: string): string =>
    simulator.accepted().find(({ body }) => body.prompt === shot(prompt))?.taskId ?? assert.fail(prompt);
  const because = (reason: string): string[] => ['--reason', reason];

  it('are listed with their evidence and the next command', async () => {
    for (const [prompt, fault] of [
      ['lost-1', 'reset-in-answer:created'],
      ['lost-2', 'status-502:not-created'],
      ['lost-3', 'reset-after-body:created'],
      ['lost-4', 'status-502:created'],
    ] as const) {
      await simulator.addRule({ fault, match: { prompt } });
    }
    await cli.write('lost.csv', csvOf(6, 'lost'));
    const ended = exits(await cli.run(['run', 'lost.csv', '--concurrency', '1']), 5);
    assert.equal(lastLine(ended), '6 rows · 2 task ids · 4 uncertain · paid twice: none known');

    const rows = await listed();
    assert.deepEqual(
      rows.map(({ kind, key, attempt, request }) => [
        kind,
        key,
        attempt.phase,
        attempt.httpStatus,
        request.prompt,
      ]),
      [
        ['uncertain', 'lost-1', 'answering', 200, shot('lost-1')],
        ['uncertain', 'lost-2', 'answered', 502, shot('lost-2')],
        ['uncertain', 'lost-3', 'sent', null, shot('lost-3')],
        ['uncertain', 'lost-4', 'answered', 502, shot('lost-4')],
      ],
    );
    assert.match(rows[1]?.attempt.headers?.['content-type'] ?? '', /text\/html/);
    assert.equal(
      rows[0]?.idempotencyKey,
      simulator.accepted().find(({ body }) => body.prompt === shot('lost-1'))?.idempotencyKey,
    );
    const text = exits(await cli.run(['uncertain']), 0).stdout;
    assert.match(text, /^4 uncertain rows\n +2  lost  HTTP 502 · answered/);
    assert.ok(
      text.indexOf('lost lost-1: uncertain') > text.indexOf('--phase sent --abandon'),
      'groups come first',
    );
    for (const part of [
      'vidbatch resolve lost --error-code none --http-status 502 --phase answered --abandon --reason <text>',
      'lost lost-3: uncertain',
      'reached   sent',
      'HTTP 502',
      'vidbatch resolve lost lost-1',
    ])
      assert.ok(text.includes(part), `${part} is not in\n${text}`);
    assert.ok(!text.includes('sk-e2e'));
  });

  it('cannot be called not sent before their deadline', async () => {
    const early = exits(await resolve('lost-2', '--not-sent', ...because('502')), 2);
    assert.match(early.stderr, /an answer may still come until 20\S+ \S+ UTC\S* \(in .*\[BEFORE_DEADLINE\]/);
    const all = exits(await resolve('--all', '--not-sent', '--yes', ...because('502')), 2);
    assert.match(all.stderr, /\[BEFORE_DEADLINE\]/);
    assert.equal((await listed()).length, 4);
  });

  it('are settled by a person who names the row and the task, or agrees to settle many', async () => {
    const wrong: Record<string, string[]> = {
      NO_SUCH_ROW: ['lost', '--abandon', ...because('x')],
      NOT_CONFIRMED: ['--all', '--abandon', ...because('x')],
      NOT_UNCERTAIN: ['lost-5', '--abandon', ...because('x')],
      TASK_ID_TAKEN: ['lost-1', '--task-id', taskOf('lost-5'), ...because('x')],
    };
    for (const [code, args] of Object.entries(wrong)) {
      assert.match(exits(await resolve(...args), 2).stderr, new RegExp(`\\[${code}\\]`), args.join(' '));
    }
    assert.equal((await listed()).length, 4);
  });

  it('end as the person decides, and are paid twice only by the person’s error', async () => {
    const found = exits(await resolve('lost-1', '--task-id', taskOf('lost-1'), ...because('their list')), 0);
    assert.match(found.stdout, /lost lost-1: submitted, task task_/);
    const told = jsonLines<Record<string, unknown>>(found.stderr);
    assert.deepEqual(
      told.map(({ event, key, taskId, by }) => [event, key, taskId, by]),
      [['accepted', 'lost-1', taskOf('lost-1'), 'resolve']],
    );

    const { stdout: life } = exits(await cli.run(['explain', 'lost', 'lost-1']), 0);
    assert.match(life, /no call: a person found its task/);
    assert.doesNotMatch(life, /accepted after/, 'nothing was sent a second time');

    await db.query(`update vidbatch.attempt set deadline = now() where outcome = 'uncertain'`);
    const right = exits(await resolve('lost-2', '--not-sent', ...because('not there'), '--json'), 0);
    assert.deepEqual(json(right), { batch: 'lost', key: 'lost-2', state: 'pending' });
    const late = exits(
      await resolve('lost-2', '--task-id', 'task_late', ...because('there it is')),
      2,
    ).stderr;
    assert.match(late, /\[NOT_UNCERTAIN\][^]*must not be sent again: `vidbatch pause lost`/);
    assert.doesNotMatch(late, /work --drain/);
    // lost-4 was accepted: whoever says that it was not is wrong.
    exits(await resolve('--http-status', '502', '--not-sent', '--yes', ...because('a guess')), 0);
    const given = exits(await resolve('--phase', 'sent', '--abandon', '--yes', ...because('too old')), 0);
    assert.match(given.stdout, /lost: 1 abandoned/);
    assert.deepEqual(await listed(), []);

    await simulator.clearRules();
    exits(await cli.run(['work', '--drain']), 0);
    assert.deepEqual(countsOf(exits(await cli.run(['status', 'lost', '--json']), 0)), {
      pending: 0,
      submitting: 0,
      submitted: 5,
      uncertain: 0,
      rejected: 0,
      exhausted: 0,
      invalid: 0,
      cancelled: 0,
      abandoned: 1,
    });
    assert.deepEqual(paidTwice(simulator.accepted()), [shot('lost-4')]);
    const trail = json(exits(await cli.run(['explain', 'lost', 'lost-4', '--json']), 0)) as {
      trail: { event: string; who: string; detail: string }[];
      attempts: { outcome: string }[];
    };
    assert.deepEqual(
      trail.attempts.map(({ outcome }) => outcome),
      ['uncertain', 'accepted'],
    );
    assert.deepEqual(
      trail.trail.map(({ event, detail }) => [event, detail]),
      [['resolve --not-sent', 'a guess']],
    );
    assert.match(exits(await cli.run(['explain', 'lost', 'lost-4']), 0).stdout, /^trail .* by .+: a guess$/m);
  });
});

describe('a provider that honours the idempotency key', async () => {
  const cli = await openCliOnPostgres();
  const { simulator } = cli;
  after(cli.close);
  const env = { VIDBATCH_PROVIDER_IDEMPOTENT: 'true' };

  it('gets lost rows again under their key: all end submitted, each accepted once', async () => {
    await simulator.configure({ honourIdempotency: true });
    const faults = [
      'reset-in-answer:created',
      'status-502:not-created',
      'reset-after-body:created',
      'no-id:created',
    ];
    for (const [i, fault] of faults.entries())
      await simulator.addRule({ fault, match: { prompt: `key-${i + 2}`, times: 1 } });
    await cli.write('key.csv', csvOf(8, 'key'));
    const ended = exits(await cli.run(['run', 'key.csv'], { env }), 0);
    assert.equal(lastLine(ended), '8 rows · 8 task ids · paid twice: none known');
    assert.equal(simulator.accepted().length, 8);
    assert.deepEqual(paidTwice(simulator.accepted()), []);
    const { creates } = await simulator.stats();
    assert.equal(creates, 12, 'four were sent twice');
  });

  it('gets no more attempts of a row that it may have, once they are used up: the row is uncertain', async () => {
    await simulator.addRule({ fault: 'status-502:not-created', match: { prompt: 'dark-2' } });
    await cli.write('dark.csv', csvOf(3, 'dark'));
    const ended = exits(await cli.run(['run', 'dark.csv', '--attempts', '2'], { env }), 5);
    assert.equal(lastLine(ended), '3 rows · 2 task ids · 1 uncertain · paid twice: none known');
    assert.deepEqual(paidTwice(simulator.accepted()), []);
  });
});
