/** `docs/profiles.md`, "Your own provider in ten minutes", as a reader would do it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { exits, openCli } from '../cli.ts';
import { http, wireServer } from '../provider/server.ts';

const page = readFileSync(new URL('../../docs/profiles.md', import.meta.url), 'utf8');
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, 'gm'))].map(([, text = '']) => text);

const [profile = ''] = blocks('yaml');
const [created = '', ready = '', noCredit = ''] = blocks('json');
const [manifest = ''] = blocks('csv');
const [asked = ''] = blocks('http');

describe('the provider of the page', async () => {
  const server = await wireServer(({ socket, method, path }) => {
    if (method === 'POST') socket.end(http(200, created, {}));
    else if (path === '/api/videos/job-71') socket.end(http(200, ready, {}));
    else socket.end(http(404, '{"error":{"code":"no_such_job"}}', {}));
  });
  const cli = await openCli({ VIDBATCH_BASE_URL: server.url, VIDBATCH_API_KEY: 'sk-page' }, { ledger: true });
  after(async () => {
    await cli.close();
    await server.close();
  });
  const reel = await cli.write('reel.yaml', profile);
  const first = await cli.write('first.csv', manifest);
  const run = async (code: number, ...args: string[]): Promise<string> => {
    const { stdout, stderr } = exits(await cli.run(args), code);
    return `${stdout}${stderr}`;
  };

  it('has a profile that is right, and that understands its answers', async () => {
    assert.match(await run(0, 'profile', 'check', reel), /profile reel · 2 models · 1 rule · 1 unverified$/m);
    const meaning = async (text: string): Promise<string> =>
      run(0, 'profile', 'try', reel, await cli.write('answer.json', text));
    const shown = blocks('console').find((block) => block.includes('profile try')) ?? '';
    const [, ...lines] = shown.trimEnd().split('\n').slice(1);
    assert.ok(lines.length > 3 && (await meaning(created)).includes(lines.join('\n')), shown);
    assert.match(
      await meaning(ready),
      /about a task\n {2}completed\n[^]*result +https:\/\/reel\.example\/files\/job-71\.mp4\n {2}cost +12 credit\n/,
    );
    assert.match(await meaning(noCredit), /a create\n {2}halted: /);
  });

  it('says in profile test which line is missing', async () => {
    assert.match(
      await run(1, 'profile', 'test', reel),
      /the address is not known there: HTTP 404.*\n.* add it to task\.missing/,
    );
    const taught = await cli.write(
      'taught.yaml',
      profile.replace('  in: [job]\n', '  in: [job]\n  missing: [no_such_job]\n'),
    );
    assert.match(await run(0, 'profile', 'test', taught), /URL and key are right/);
  });

  it('refuses rows that its models do not take', async () => {
    const bad = await cli.write('bad.csv', manifest.replace(',8,16:9', ',5,1:1'));
    const told = await run(3, 'validate', bad, '--profile', reel);
    assert.match(told, /duration: 5 is not one of 4, 8/);
    assert.match(told, /aspect_ratio: "1:1" is not one of 16:9, 9:16/);
  });

  it('knows the price of its models, unless a price file says another', async () => {
    assert.match(await run(0, 'plan', first, '--profile', reel), /cost: at most 0\.40 USD$/m);
    const prices = await cli.write('prices.json', '{"reel-2": {"perSecond": "1", "currency": "EUR"}}');
    assert.match(await run(0, 'plan', first, '--profile', reel, '--prices', prices), /at most 8\.00 EUR$/m);
    const long = await cli.write(
      'long.yaml',
      profile
        .replace("perVideo: '0.40'", "perSecond: '0.10'")
        .replace('fields:\n', 'fields:\n  defaultDuration: 7\n'),
    );
    const short = await cli.write('short.csv', 'id,model,prompt\na,reel-1,fog\nb,reel-1,rain\n');
    assert.match(await run(0, 'plan', short, '--profile', long), /cost: at most 1\.40 USD$/m);
    await run(0, 'submit', short, '--profile', long, '--budget', '2USD');
    assert.match(await run(0, 'status', 'short'), /2\.00 USD: 0\.00 USD spent/);
    // A row that comes later has the price of the profile, and the others keep theirs.
    await cli.write('short.csv', 'id,model,prompt\na,reel-1,fog\nb,reel-1,rain\nc,reel-2,sun\n');
    assert.match(await run(0, 'plan', short), /cost: at most 2\.10 USD$/m);
    assert.match(await run(0, 'submit', short), /does not pay for all rows: 2\.00 USD/);
  });

  it('is paid for one row, as its page says, and the batch needs the file no more', async () => {
    const before = server.posts();
    await run(0, 'run', first, '--profile', reel, '--yes');
    assert.equal(server.posts(), before + 1);
    const post = server.requests.find(({ method }) => method === 'POST');
    assert.equal(post?.path, '/api/videos');
    assert.equal(post.headers['x-api-key'], 'sk-page');
    assert.equal(post.headers['authorization'], undefined);
    assert.deepEqual(JSON.parse(post.body), JSON.parse(asked.slice(asked.indexOf('{'))));
    await run(0, 'reconcile', 'first');
    const shown = await run(0, 'export', 'first', '--format', 'jsonl');
    assert.match(shown, /"task_id":"job-71"/);
    assert.match(shown, /"provider_status":"completed"/);
  });
});
