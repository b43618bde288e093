import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { exits, lastLine, openCli } from '../cli.ts';
import { armed } from '../crash/arm.ts';
import { createDatabase, servers } from '../servers.ts';
import { until } from '../until.ts';
import { csvOf, csvRow } from './manifest.ts';
import { ownProfile, startTwoDialects } from './two-dialects.ts';

const shared = await servers();

describe('a batch', async () => {
  const gateway = await startTwoDialects();
  const database = await createDatabase(shared);
  const cli = await openCli({
    DATABASE_URL: database.url,
    VIDBATCH_BASE_URL: gateway.url,
    VIDBATCH_API_KEY: 'sk-e2e',
  });
  after(async () => {
    await cli.close();
    await gateway.close();
    await database.drop();
  });
  beforeEach(() => {
    gateway.word = 'ready';
    gateway.answers = 'accepts';
    gateway.price = undefined;
  });
  const pathsOf = (start: string): string[] => [
    ...new Set(gateway.creates.filter(({ prompt }) => prompt.includes(start)).map(({ path }) => path)),
  ];
  const own = (name: string, more = ''): Promise<string> => cli.write(`${name}.yaml`, ownProfile(name, more));

  it('is sent by its profile, also when one worker sends two batches with different profiles', async () => {
    const profile = await own('beside');
    exits(await cli.run(['submit', await cli.write('plain.csv', csvOf(3, 'plain'))]), 0);
    exits(await cli.run(['submit', await cli.write('own.csv', csvOf(3, 'own')), '--profile', profile]), 0);
    exits(await cli.run(['work', '--drain']), 0);
    assert.deepEqual(pathsOf('own'), ['/api/jobs']);
    assert.deepEqual(pathsOf('plain'), ['/v1/video/generations']);
    exits(await cli.run(['reconcile']), 0);
    const rows = exits(await cli.run(['export', 'own', '--format', 'jsonl']), 0)
      .stdout.trim()
      .split('\n');
    for (const row of rows)
      assert.match(row, /"provider_status":"completed","result_url":"https:\/\/cdn\.example\/t-/);
    assert.match(exits(await cli.run(['status', 'plain', '--json']), 0).stdout, /"completed":3/);
  });

  it('needs the file of its profile no more, once it is submitted', async () => {
    const profile = await own('deleted');
    const file = await cli.write('gone.csv', csvOf(2, 'gone'));
    exits(await cli.run(['submit', file, '--profile', profile]), 0);
    await rm(profile);
    await cli.write('gone.csv', csvOf(2, 'gone') + csvRow('gone-3', 'gone later'));
    exits(await cli.run(['run', file]), 0);
    assert.deepEqual(pathsOf('gone'), ['/api/jobs']);
    exits(await cli.run(['reconcile', 'gone']), 0);
    exits(await cli.run(['verify', 'gone', '--provider']), 0);
  });

  it('asks for each task where the create answer said', async () => {
    const file = await cli.write('watched.csv', csvOf(1, 'watched'));
    exits(await cli.run(['run', file, '--profile', await own('watched')]), 0);
    const before = gateway.asked.length;
    exits(await cli.run(['reconcile', 'watched', '--ended']), 0);
    assert.match(gateway.asked.slice(before).join(), /^\/api\/watch\/t-\d+\?token=1$/);
  });

  it('is not sent by a profile with another name, unless none of its rows was ever sent', async () => {
    const file = await cli.write('named.csv', csvOf(1, 'named'));
    exits(await cli.run(['submit', file, '--profile', await own('first')]), 0);
    const taken = exits(await cli.run(['submit', file, '--profile', await own('second')]), 0);
    assert.match(taken.stdout, /the profile of this batch is second now, and no longer first/);
    exits(await cli.run(['run', file]), 0);
    assert.deepEqual(pathsOf('named'), ['/api/jobs']);
    await cli.write('named.csv', csvOf(1, 'named') + csvRow('named-2', 'named later'));
    for (const other of ['vidu-gateway', join(cli.folder, 'first.yaml')]) {
      const refused = exits(await cli.run(['run', file, '--profile', other]), 3);
      assert.match(
        refused.stderr,
        /batch named was sent by the profile second, .*nothing was sent \[PROFILE_DIFFERS\]/,
      );
      exits(await cli.run(['plan', file, '--profile', other]), 3);
    }
    assert.equal(gateway.creates.filter(({ prompt }) => prompt.includes('named')).length, 1);
    exits(await cli.run(['run', file]), 0);
  });

  it('takes the new text of a profile with the same name, and says so', async () => {
    const profile = await own('corrected');
    const file = await cli.write('again.csv', csvOf(1, 'again'));
    exits(await cli.run(['run', file, '--profile', profile]), 0);
    assert.doesNotMatch(exits(await cli.run(['run', file, '--profile', profile]), 0).stdout, /another text/);
    gateway.word = 'well-done';
    assert.match(exits(await cli.run(['reconcile', 'again']), 0).stdout, /1 open/);
    await writeFile(profile, ownProfile('corrected').replace('[ready]', '[ready, well-done]'));
    const said = exits(await cli.run(['submit', file, '--profile', profile]), 0);
    assert.match(said.stdout, /the profile corrected has another text than before: it counts for this batch/);
    assert.match(exits(await cli.run(['reconcile', 'again']), 0).stdout, /1 completed/);
    assert.match(exits(await cli.run(['explain', 'again', 'again-1']), 0).stdout, /completed/);
  });

  it('takes a changed profile while a worker runs', async () => {
    const profile = await own('moving');
    const file = await cli.write('moving.csv', csvOf(1, 'moving'));
    exits(await cli.run(['submit', file, '--profile', profile]), 0);
    const worker = cli.start(['work']);
    const sent = (n: number): Promise<void> =>
      until(() => gateway.creates.filter(({ prompt }) => prompt.includes('moving')).length === n);
    await sent(1);
    await writeFile(profile, ownProfile('moving').replace('path: /api/jobs\n', 'path: /api/v2/jobs\n'));
    await cli.write('moving.csv', csvOf(1, 'moving') + csvRow('moving-2', 'moving later'));
    exits(await cli.run(['submit', file, '--profile', profile]), 0);
    await sent(2);
    worker.kill('SIGTERM');
    await worker.ended;
    assert.deepEqual(pathsOf('moving'), ['/api/jobs', '/api/v2/jobs']);
  });

  it('is checked by the rules of its profile, when it is read and before it is sent', async () => {
    const models = `models: [{ match: my-model }]\nunknownModel: error\n`;
    const profile = await own('ruled', models);
    const file = await cli.write('ruled.csv', 'id,model,prompt\nr1,my-model,ruled\n');
    exits(await cli.run(['validate', file]), 3);
    exits(await cli.run(['validate', file, '--profile', profile]), 0);
    exits(await cli.run(['run', file, '--profile', profile]), 0);
    assert.equal(
      lastLine(exits(await cli.run(['run', file]), 0)),
      '1 row · 1 task id · paid twice: none known',
    );
  });

  it('keeps its profile when its worker is killed', async () => {
    const file = await cli.write('killed.csv', csvOf(3, 'killed'));
    exits(await cli.run(['submit', file, '--profile', await own('killed')]), 0);
    const killed = await cli.start(['work', '--drain'], { env: armed({ point: 'answer-journaled' }) }).ended;
    assert.equal(killed.signal, 'SIGKILL');
    exits(await cli.run(['work', '--drain']), 0);
    assert.deepEqual(pathsOf('killed'), ['/api/jobs']);
    assert.equal(gateway.creates.filter(({ prompt }) => prompt.includes('killed')).length, 3);
  });

  it('is paid as the answers about its tasks tell, and tasks without a cost are counted', async () => {
    const file = await cli.write('paid.csv', csvOf(3, 'paid'));
    exits(await cli.run(['run', file, '--profile', await own('paid')]), 0);
    assert.doesNotMatch(exits(await cli.run(['reconcile', 'paid']), 0).stdout, /billed by the answers/);
    gateway.price = 2.5;
    const told = /billed by the answers: 7.5 coin for 3 tasks$/m;
    assert.match(exits(await cli.run(['reconcile', 'paid', '--ended']), 0).stdout, told);
    assert.match(exits(await cli.run(['report', 'paid']), 0).stdout, told);
    await cli.write('paid.csv', csvOf(3, 'paid') + csvRow('paid-4', 'paid without a price'));
    exits(await cli.run(['run', file]), 0);
    gateway.price = undefined;
    const some = exits(await cli.run(['reconcile', 'paid']), 0).stdout;
    assert.match(some, /billed by the answers: 7.5 coin for 3 tasks · 1 ended task tells none$/m);
    const { answered } = JSON.parse(exits(await cli.run(['report', 'paid', '--json']), 0).stdout) as {
      answered: unknown;
    };
    assert.deepEqual(answered, { sums: [{ unit: 'coin', amount: '7.5', tasks: 3 }], untold: 1 });
  });

  it('tells what its profile does not find in an answer, until it is found', async () => {
    const profile = await own('unread');
    const file = await cli.write('unread.csv', csvOf(1, 'unread'));
    exits(await cli.run(['run', file, '--profile', profile]), 0);
    gateway.word = 'Well-Done';
    exits(await cli.run(['reconcile', 'unread']), 0);
    const said = exits(await cli.run(['status', 'unread']), 0).stdout;
    assert.match(said, /^  profile unread$/m);
    assert.match(
      said,
      /unread: the profile unread does not know the status "Well-Done" of a task in the answer \{"job"/,
    );
    const line = 'task: { words: { +completed: ["well-done"] } }';
    assert.ok(said.includes(`needs: ${line} (or`), said);
    await writeFile(
      profile,
      ownProfile('unread').replace('completed: [ready]', 'completed: [ready, well-done]'),
    );
    exits(await cli.run(['submit', file, '--profile', profile]), 0);
    exits(await cli.run(['reconcile', 'unread']), 0);
    assert.doesNotMatch(exits(await cli.run(['status', 'unread']), 0).stdout, /unread:/);
  });

  it('tells at once that no task id is found in the answer to its first row', async () => {
    gateway.answers = 'without an id';
    const file = await cli.write('noid.csv', csvOf(2, 'noid'));
    const ran = exits(await cli.run(['run', file, '--profile', await own('noid'), '--no-wait']), 5);
    const line = 'needs: create: { +taskId: [made.work_id] }';
    assert.equal(ran.stderr.split(line).length, 2, ran.stderr);
    assert.match(
      ran.stderr,
      /^noid: the profile noid does not find the task id in the answer \{"made":\{"work_id":"w-7"\}\}/m,
    );
    assert.ok(exits(await cli.run(['status', 'noid']), 0).stdout.includes(line));
  });

  it('is sent again under one key, where its profile says that the provider honours it', async () => {
    const honoured = 'idempotency: { header: X-Once, honoured: true, lifetime: 24h }\n';
    gateway.answers = 'hangs up once';
    const file = await cli.write('keyed.csv', csvOf(1, 'keyed'));
    const profile = await cli.write('keyed.yaml', ownProfile('keyed', honoured));
    const ran = exits(await cli.run(['run', file, '--profile', profile]), 0);
    assert.equal(lastLine(ran), '1 row · 1 task id · paid twice: none known');
    const keys = gateway.creates.filter(({ prompt }) => prompt.includes('keyed')).map(({ once }) => once);
    assert.equal(keys.length, 2);
    assert.ok(keys[0] !== undefined && keys[0] === keys[1]);
  });

  for (const [what, terms] of [
    ['no key is sent', 'idempotency: none\n'],
    ['the key is forgotten too soon', 'idempotency: { header: X-Once, honoured: true, lifetime: 10m }\n'],
  ] as const) {
    it(`is not sent again where ${what}, also if the user says that keys are honoured`, async () => {
      const name = what.replaceAll(' ', '-');
      gateway.answers = 'hangs up';
      const file = await cli.write(`${name}.csv`, csvOf(1, name));
      const profile = await cli.write(`${name}.yaml`, ownProfile(name, terms));
      const env = { VIDBATCH_PROVIDER_IDEMPOTENT: 'true' };
      exits(await cli.run(['run', file, '--profile', profile, '--no-wait'], { env }), 5);
      assert.equal(gateway.creates.filter(({ prompt }) => prompt.includes(name)).length, 1);
    });
  }

  it('needs no API key, if its profile says so', async () => {
    const profile = await own('keyless', 'auth: none\n');
    const file = await cli.write('keyless.csv', csvOf(1, 'keyless'));
    const env = { VIDBATCH_API_KEY: '' };
    exits(await cli.run(['run', file], { env }), 2);
    exits(await cli.run(['run', file, '--profile', profile], { env }), 0);
    assert.equal(gateway.creates.find(({ prompt }) => prompt.includes('keyless'))?.authorization, undefined);
    // A worker without a key leaves rows alone that need one.
    const needy = await cli.write('needy.csv', csvOf(1, 'needy'));
    exits(await cli.run(['submit', needy]), 0);
    const worker = cli.start(['work'], { env: { ...env, VIDBATCH_PROFILE: profile } });
    await worker.says(/the profile vidu-gateway needs an API key/);
    worker.kill('SIGTERM');
    await worker.ended;
    assert.match(exits(await cli.run(['status', 'needy']), 0).stdout, /pending 1/);
  });
});
