/** A provider that nothing in vidbatch knows, without a key: a profile of twenty lines is enough. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { exits, jsonLines, openCli } from '../cli.ts';
import { http, wireServer } from '../provider/server.ts';
import { Video } from '../../src/simulator/video.ts';

const PROFILE = `profile: 1
name: clipworks
extends: vidu-gateway
auth: none
idempotency: none
create:
  path: { text: /make/text, image: /make/image, start-end: /make/frames, reference: /make/refs }
  headers: { X-Async: enable }
  body: { scene: { words: '\${prompt}', pictures: ['\${image}'] }, engine: '\${model}', length: '\${duration:text}' }
  taskId: [job.ref]
  queryUrl: [job.poll]
task:
  path: /never/{id}
  in: [job]
  id: [ref]
  status: [stage]
  words: { +completed: [4], +in_progress: [cooking] }
  result: [film]
  cost: { at: [price], unit: credit }
models: [{ match: clip-1 }]
`;

test('rows are sent, polled and downloaded by the profile alone', async (t) => {
  const film = Buffer.concat([...new Video('film', 20_000).bytes()]);
  const refs = ['738529527931269425', '738529527931269426'];
  const polls = new Map<string, number>();
  let made = 0;
  const server = await wireServer(({ method, path, socket }) => {
    if (method === 'POST') {
      const ref = refs[made++] ?? '0';
      socket.write(http(200, `{"job":{"ref":${ref},"poll":"${server.url}/poll/${ref}?v=2"}}`));
    } else if (path.startsWith('/poll/')) {
      const ref = path.slice('/poll/'.length, path.indexOf('?'));
      const nth = (polls.get(ref) ?? 0) + 1;
      polls.set(ref, nth);
      const end = `"stage":4,"film":"/films/${ref}.mp4","price":12.5`;
      socket.write(http(200, `{"job":{"ref":${ref},${nth < 2 ? '"stage":"cooking"' : end}}}`));
    } else {
      const head = `HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\ncontent-length: ${film.length}\r\n\r\n`;
      socket.write(Buffer.concat([Buffer.from(head), film]));
    }
  });
  const cli = await openCli({ VIDBATCH_BASE_URL: server.url });
  t.after(async () => {
    await cli.close();
    await server.close();
  });
  const profile = await cli.write('clipworks.yaml', PROFILE);
  const manifest = await cli.write(
    'shots.csv',
    'id,model,prompt,duration,image\na,clip-1,rain,5,\nb,clip-1,snow,6,https://example.com/a.png\n',
  );

  exits(await cli.run(['run', manifest, '--profile', profile, '--yes']), 0);
  const sent = server.requests.filter(({ method }) => method === 'POST');
  assert.deepEqual(
    sent.map(({ path, body }) => [path, JSON.parse(body)]).toSorted((a, b) => (a[0] < b[0] ? -1 : 1)),
    [
      [
        '/make/image',
        {
          scene: { words: 'snow', pictures: ['https://example.com/a.png'] },
          engine: 'clip-1',
          length: '6',
        },
      ],
      ['/make/text', { scene: { words: 'rain' }, engine: 'clip-1', length: '5' }],
    ],
  );
  for (const { headers } of server.requests) {
    assert.equal(headers['authorization'], undefined);
    assert.equal(headers['idempotency-key'], undefined);
  }
  assert.ok(sent.every(({ headers }) => headers['x-async'] === 'enable'));

  cli.env['VIDBATCH_PROFILE'] = profile;
  exits(await cli.run(['reconcile', 'shots', '--watch']), 0);
  assert.ok(!server.requests.some(({ path }) => path.startsWith('/never/')));
  const rows = jsonLines<{ task_id: string; provider_status: string; result_url: string }>(
    exits(await cli.run(['export', 'shots', '--format', 'jsonl']), 0).stdout,
  );
  assert.deepEqual(rows.map((row) => row.task_id).sort(), refs);
  for (const row of rows) {
    assert.equal(row.provider_status, 'completed');
    assert.equal(row.result_url, `${server.url}/films/${row.task_id}.mp4`);
  }

  const { host } = new URL(server.url);
  exits(await cli.run(['download', 'shots', '--folder', join(cli.folder, 'films'), '--allow-host', host]), 0);
  assert.deepEqual(await readFile(join(cli.folder, 'films', 'a.mp4')), film);
});
