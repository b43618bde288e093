import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { builtInNames } from '../../src/provider/profile/built-in.ts';
import { exits, json, jsonLines, lastLine, openCli } from '../cli.ts';
import { http, wireServer } from '../provider/server.ts';
import { startSimulatorProcess } from './simulator.ts';

const KEY = 'sk-TheKeyOfTheProfileTest';

describe('profile', async () => {
  const simulator = await startSimulatorProcess('--key', KEY);
  const cli = await openCli(
    { VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: KEY },
    { ledger: true, onDisk: true },
  );
  after(async () => {
    await cli.close();
    await simulator.close();
  });
  const mine = (changes: string): Promise<string> =>
    cli.write('mine.yaml', `profile: 1\nname: mine\nextends: vidu-gateway\n${changes}`);

  it('list names the built-in ones, and says which is the default', async () => {
    const { stdout } = exits(await cli.run(['profile', 'list']), 0);
    for (const name of builtInNames())
      assert.match(stdout, new RegExp(`^${name}( \\(default\\))?: \\S`, 'm'));
    const listed = jsonLines<{ profile: string; isDefault: boolean }>(
      exits(await cli.run(['profile', 'list', '--json']), 0).stdout,
    );
    assert.deepEqual(
      listed.filter(({ isDefault }) => isDefault).map(({ profile }) => profile),
      ['vidu-gateway'],
    );
  });

  it('show tells the sources and what they leave open, and prints the text to begin with', async () => {
    for (const name of builtInNames()) {
      const { stdout } = exits(await cli.run(['profile', 'show', name]), 0);
      assert.match(stdout, new RegExp(`^profile ${name} · built in`));
      assert.match(stdout, /^documents\n {2}\S/m);
      assert.match(stdout, /^unverified: what the documents do not say\n {2}\S/m);
      assert.doesNotMatch(stdout, /\[object|undefined/);
    }
    const { stdout } = exits(await cli.run(['profile', 'show', 'new-api', '--yaml']), 0);
    const own = await cli.write('own.yaml', stdout.replace('name: new-api', 'name: own'));
    assert.match(exits(await cli.run(['profile', 'check', own]), 0).stdout, /profile own · /);
    // What is taken from another profile is shown, too.
    const whole = json(exits(await cli.run(['profile', 'show', own, '--json']), 0)) as Record<
      string,
      unknown
    >;
    assert.ok(Object.hasOwn(whole, 'outcomes') && whole['name'] === 'own');
  });

  it('check names every mistake in a line of its own, and ends with 2', async () => {
    const file = await mine(
      'auth: basic\ntask:\n  urlLife: 3x\n  words: { failed: [x], lost: [y] }\nfields:\n  duration: 9..1\nrules:\n  - { name: a b, column: modell, severity: error, when: {}, message: x }\n',
    );
    const ended = exits(await cli.run(['profile', 'check', file]), 2);
    const lines = ended.stderr.split('\n').filter((line) => line.startsWith(file));
    assert.deepEqual(
      lines.map((line) => line.slice(file.length).split(' ').slice(0, 2).join(' ')),
      [
        ':4: auth',
        ':6: task.urlLife',
        ':7: task.words',
        ':9: fields.duration',
        ':11: rules[0].name',
        ':11: rules[0].column',
        ':11: rules[0].when',
      ],
    );
    assert.match(ended.stderr, /mine\.yaml has 7 faults \[PROFILE_INVALID\]\n {2}docs\/profiles\.md/);
    const told = json(exits(await cli.run(['profile', 'check', file, '--json']), 2)) as {
      valid: boolean;
      faults: { line: number; field: string }[];
    };
    assert.equal(told.valid, false);
    assert.deepEqual([told.faults[0]?.line, told.faults[0]?.field], [4, 'auth']);
  });

  it('check refuses the name of a built-in profile, and a file that is not there', async () => {
    const file = await cli.write('taken.yaml', 'profile: 1\nname: ark\nextends: ark\n');
    assert.match(exits(await cli.run(['profile', 'check', file]), 2).stderr, /\[PROFILE_NAME_TAKEN\]/);
    assert.match(exits(await cli.run(['profile', 'check', 'no.yaml']), 2).stderr, /\[PROFILE_UNREADABLE\]/);
    assert.match(exits(await cli.run(['profile', 'show', 'new-ap']), 2).stderr, /did you mean new-api\?/);
  });

  it('try says what an answer means, to a create and about a task', async () => {
    const file = await mine(
      'outcomes: { +codes: { code: busy, status: 4xx, outcome: throttled } }\ntask: { words: { +completed: [fini] }, cost: { at: bill, unit: USD } }\n',
    );
    const attempt = async (answer: unknown): Promise<string> => {
      const path = await cli.write(
        'answer.json',
        typeof answer === 'string' ? answer : JSON.stringify(answer),
      );
      return exits(await cli.run(['profile', 'try', file, path]), 0).stdout;
    };
    const busy = await attempt({ status: 400, headers: { 'Retry-After': '7' }, body: { code: 'busy' } });
    assert.match(busy, /HTTP 400, by the profile mine\n.*create\n {2}throttled: .*\n {2}wait +7s\n/);
    const done = await attempt(
      '{"id":12345678901234567890,"status":"FINI","url":"https://a.example/v.mp4","bill":0.125}',
    );
    assert.match(done, /accepted: the row is submitted\n {2}task id +12345678901234567890\n/);
    assert.match(
      done,
      /about a task\n {2}completed\n[^]* {2}result +https:\/\/a\.example\/v\.mp4\n {2}cost +0\.125 USD\n/,
    );
    const within = await attempt('{"status":200,"body":{"id":12345678901234567890}}');
    assert.match(within, /task id +12345678901234567890\n/);
    const unknown = await attempt({ id: 'task_1', status: 'finito' });
    assert.match(unknown, /unknown: no word of task\.words/);
    assert.match(
      await attempt({ status: 502, body: '<html>' }),
      /uncertain: the provider may have accepted it/,
    );
  });

  it('try refuses what is no answer', async () => {
    for (const wrong of [
      { status: 99, body: {} },
      { status: 200, headers: [], body: {} },
    ]) {
      const path = await cli.write('wrong.json', JSON.stringify(wrong));
      assert.match(exits(await cli.run(['profile', 'try', 'vidu', path]), 2).stderr, /\[BAD_ANSWER\]/);
    }
    assert.match(
      exits(await cli.run(['profile', 'try', 'vidu', 'no.json']), 2).stderr,
      /\[ANSWER_UNREADABLE\]/,
    );
  });

  it('test proves URL, key and dialect, and creates nothing', async () => {
    const ended = exits(await cli.run(['profile', 'test']), 0);
    assert.match(ended.stdout, /^ok {7}provider-answer: .*URL and key are right$/m);
    assert.match(lastLine(ended), /^checked: 4 ok · 0 warnings · 0 failed/);
    assert.equal((await simulator.stats()).creates, 0);
    const refused = exits(await cli.run(['profile', 'test'], { env: { VIDBATCH_API_KEY: 'other' } }), 1);
    assert.match(refused.stdout, /^failed {3}provider-answer: the key is refused/m);
    assert.match(refused.stderr, /\[CHECKS_FAILED\]/);
    exits(await cli.run(['profile', 'test'], { env: { VIDBATCH_BASE_URL: '' } }), 2);
  });

  it('test asks for the models where the profile says so, with the key in its header', async () => {
    const server = await wireServer(({ socket, path }) =>
      socket.end(
        path === '/api/models'
          ? http(200, '{"models":[{"name":"q9-720p"},{"name":"q9-1080p"}]}', {})
          : http(404, '{"code":"gone"}', {}),
      ),
    );
    const file = await mine(
      'auth: { header: x-api-key }\ntask: { path: "/tasks/{id}", missing: [gone] }\nmodelList: { path: /api/models, names: "models[].name" }\n',
    );
    const env = { VIDBATCH_BASE_URL: server.url, VIDBATCH_MODELS: 'q9-72p' };
    const { stdout } = exits(await cli.run(['profile', 'test', file], { env }), 0);
    assert.match(stdout, /^ok {7}provider-answer: .*URL and key are right$/m);
    assert.match(
      stdout,
      /^warning {2}provider-models: the key may use 2 models, without q9-72p \(did you mean q9-720p\?\)$/m,
    );
    assert.deepEqual(
      server.requests.map(({ method, headers }) => [method, headers['x-api-key'], headers['authorization']]),
      [
        ['GET', KEY, undefined],
        ['GET', KEY, undefined],
      ],
    );
    // The doctor also knows the models of rows that wait, and takes the profile from its variable.
    const waiting = await cli.write('waiting.csv', 'id,model,prompt\na,q9-1080p,fog\nb,q9-4k,rain\n');
    const named = { ...env, VIDBATCH_PROFILE: file, VIDBATCH_MODELS: 'q9-1080p,q9-4k' };
    exits(await cli.run(['submit', waiting], { env: named }), 0);
    const doctor = exits(await cli.run(['doctor'], { env: { ...named, VIDBATCH_MODELS: '' } }), 0).stdout;
    assert.match(doctor, /^ok {7}configuration-profile: mine;/m);
    assert.match(doctor, /^warning {2}provider-models: the key may use 2 models, without q9-4k/m);
    await server.close();
  });
});
