import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, realpath, rm, stat } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Queue, Worker, createPostgresBackend, runMigrations } from 'bullmq';
import { VidbatchError } from '../../src/core/errors.ts';
import { transaction } from '../../src/database/database.ts';
import { startIpcServer } from '../../src/database/ipc-server.ts';
import type { EmbeddedDatabase } from '../../src/database/embedded.ts';
import { socketPath, openFolder } from '../../src/database/data-folder.ts';
import { FRAME_LIMIT, frame, frameGreeting, greet } from '../../src/database/ipc-protocol.ts';
import { connectToHolder, type RemoteDatabase } from '../../src/database/ipc-client.ts';
import { lockFolder } from '../../src/database/lock.ts';
import { copyTemplate } from '../servers.ts';
import { startChild } from './child.ts';
import { assertContract } from './contract.ts';

let root: string;
let dir: string;
let path: string;
let db: EmbeddedDatabase;
let client: RemoteDatabase;
let closeHolder: () => Promise<void>;

// Making a database takes seconds: all tests share one, and run in order.
before(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'vidbatch-door-')));
  dir = join(root, 'data');
  path = join(dir, 'door.sock');
  await copyTemplate(dir, 'empty');
  const folder = await openFolder(dir);
  assert.equal(folder.role, 'holder');
  db = folder.database;
  closeHolder = folder.close;
  await db.query('create schema vidbatch; create table vidbatch.note (id int primary key, body text)');
  client = await connectToHolder(path);
});

after(async () => {
  await client.end();
  await closeHolder();
  await rm(root, { recursive: true });
});

const insert = 'insert into vidbatch.note values ($1, $2)';

async function notes(): Promise<number[]> {
  const { rows } = await db.query<{ id: number }>('select id from vidbatch.note order by id');
  return rows.map(({ id }) => id);
}

function isVidbatch(code: string): (error: unknown) => boolean {
  return (error) => error instanceof VidbatchError && error.code === code;
}

describe('a client', () => {
  test('finds the holder, behind a socket for this user alone', async () => {
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const folder = await openFolder(dir);
    assert.equal(folder.role, 'client');
    assert.equal(folder.holderPid, process.pid);
    assert.deepEqual((await folder.database.query('select 1 as one')).rows, [{ one: 1 }]);
    await folder.close();
    await folder.close();
    await assert.rejects(
      folder.database.query('select 1'),
      /Cannot use a pool after calling end on the pool/,
    );
    await assert.rejects(folder.database.connect(), /Cannot use a pool after calling end on the pool/);
  });

  test('gets the values of the contract', () => assertContract(client));

  test('gets errors with a code, a constraint and a detail, and errors of vidbatch unchanged', async () => {
    await client.query(insert, [1, '']);
    await assert.rejects(client.query(insert, [1, '']), {
      code: '23505',
      constraint: 'note_pkey',
      detail: 'Key (id)=(1) already exists.',
      message: 'duplicate key value violates unique constraint "note_pkey"',
    });
    await assert.rejects(client.query('begin'), isVidbatch('SESSION_NEEDED'));
  });

  test('keeps a transaction apart from the holder and from other clients', async () => {
    const session = await client.connect();
    await session.query('begin');
    await session.query(insert, [2, 'rolled back']);
    const others = [db.query(insert, [3, '']), client.query(insert, [4, ''])];
    await session.query('rollback');
    await Promise.all(others);
    await transaction(client, (inner) => inner.query(insert, [5, '']));
    session.release();
    assert.deepEqual(await notes(), [1, 3, 4, 5]);
  });

  test('that releases its session in a transaction is rolled back', async () => {
    const session = await client.connect();
    await session.query('begin');
    await session.query(insert, [6, '']);
    session.release();
    assert.deepEqual(await notes(), [1, 3, 4, 5]);
    await assert.rejects(session.query('select 1'), /after it was released/);
  });

  test('that is killed in a transaction releases the mutex', async () => {
    const child = startChild(`
      const { connectToHolder } = await import(src + 'ipc-client.ts');
      const session = await (await connectToHolder(${JSON.stringify(path)})).connect();
      await session.query('begin');
      await session.query('insert into vidbatch.note values (7, $1)', ['']);
      console.log('in the middle');
    `);
    assert.equal(await child.line(), 'in the middle');
    const waiting = notes();
    await child.kill();
    assert.deepEqual(await waiting, [1, 3, 4, 5]);
  });

  test('sends and gets rows of ten megabytes', async () => {
    const text = 'ü'.repeat(5_000_000);
    const { rows } = await client.query<{ x: string }>('select $1::text as x from generate_series(1, 2)', [
      text,
    ]);
    assert.ok(rows.length === 2 && rows.every(({ x }) => x === text));
  });

  test('gets notifications', async () => {
    const session = await client.connect();
    await session.query('listen news');
    const heard = once(session, 'notification');
    await db.query("notify news, 'all well'");
    assert.deepEqual(await heard, [{ channel: 'news', payload: 'all well' }]);
    session.release();
  });
});

test('the queue of a client adds jobs that a worker of the holder runs', async () => {
  const session = await db.connect();
  await runMigrations(session);
  session.release();
  const child = startChild(`
    const { connectToHolder } = await import(src + 'ipc-client.ts');
    const { Queue, createPostgresBackend } = await import(${JSON.stringify(import.meta.resolve('bullmq'))});
    const connection = await connectToHolder(${JSON.stringify(path)});
    const queue = new Queue('shared', { connection }, createPostgresBackend);
    await queue.addBulk(Array.from({ length: 20 }, (_, n) => ({ name: 'row', data: { n } })));
    await queue.close();
    await connection.end();
  `);
  const seen: number[] = [];
  const all = Promise.withResolvers<void>();
  const worker = new Worker(
    'shared',
    (job) => {
      seen.push((job.data as { n: number }).n);
      if (seen.length === 20) all.resolve();
      return Promise.resolve();
    },
    { connection: db },
    createPostgresBackend,
  );
  assert.equal(await child.ended(), '', 'the client ends by itself');
  await all.promise;
  assert.deepEqual(
    seen.sort((a, b) => a - b),
    Array.from({ length: 20 }, (_, n) => n),
  );
  await worker.close();
  const queue = new Queue('shared', { connection: client }, createPostgresBackend);
  // It goes on listening to its pool after it is closed, and prints what it hears.
  queue.on('error', () => undefined);
  assert.equal(await queue.getCompletedCount(), 20);
  await queue.close();
});

describe('the socket', () => {
  test('refuses a client of another version, and disconnects what is not a client', async () => {
    const others = [
      frameGreeting({ door: 'vidbatch', protocol: 0, wire: 15, kind: 'pool' }),
      frameGreeting(null),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from([0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0, 0, 0, 0]),
    ];
    for (const words of others) {
      const stranger = createConnection(path);
      stranger.on('error', () => undefined);
      stranger.resume();
      stranger.write(words);
      await once(stranger, 'close');
    }
    assert.deepEqual((await client.query('select 1 as one')).rows, [{ one: 1 }], 'and serves on');
  });

  test('ends the connection of a client for any frame that is not a request, and nothing else', async () => {
    const ours = greet('pool');
    const strange = fc.oneof(
      fc.constantFrom<unknown>(null, undefined, 0, '', [], {}, new Map(), 10n, { id: 1 }, { id: 1, text: 2 }),
      fc.record({ id: fc.anything(), text: fc.anything(), params: fc.anything() }),
      fc.anything(),
    );
    const send = async (bytes: Buffer): Promise<void> => {
      const stranger = createConnection(path);
      stranger.on('error', () => undefined);
      stranger.resume();
      stranger.end(Buffer.concat([frameGreeting(ours), bytes]));
      await once(stranger, 'close');
      assert.deepEqual((await client.query('select 1 as one')).rows, [{ one: 1 }]);
    };
    await fc.assert(
      fc.asyncProperty(strange, (message) => send(frame(message))),
      { numRuns: 40, examples: [[null], [7]] },
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), (bytes) => send(Buffer.from(bytes))),
      { numRuns: 20 },
    );
  });

  test('a holder of another version is refused with both versions', async () => {
    const other = join(root, 'other.sock');
    const server = createServer((socket) => {
      socket.end(frameGreeting({ door: 'vidbatch', protocol: 99, wire: 15 }));
    });
    server.listen(other);
    await once(server, 'listening');
    await assert.rejects(
      connectToHolder(other),
      (error) => isVidbatch('DOOR_VERSION')(error) && /version 99\//.test((error as Error).message),
    );
    server.close();
  });

  test('a frame over the limit is refused, and the connection continues', async () => {
    const bytes = Buffer.alloc(FRAME_LIMIT);
    await assert.rejects(client.query('select $1::bytea', [bytes]), isVidbatch('FRAME_TOO_LONG'));
    assert.deepEqual((await client.query('select 1 as one')).rows, [{ one: 1 }]);
  });

  test('of a folder with a long path has its socket elsewhere, and clients find it', async (t) => {
    const { TMPDIR } = process.env;
    t.after(() => {
      if (TMPDIR === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = TMPDIR;
    });
    process.env['TMPDIR'] = root;
    const deep = join(root, 'long-'.repeat(25));
    const lock = lockFolder(deep);
    assert.ok(lock.held);
    const elsewhere = socketPath(deep);
    assert.match(elsewhere, /vidbatch-\d+\/[0-9a-f]{16}\.sock$/);
    assert.equal((await stat(dirname(elsewhere))).mode & 0o777, 0o700);
    const server = await startIpcServer(db, elsewhere);
    lock.announce(elsewhere);
    await copyTemplate(deep, 'empty');
    const folder = await openFolder(deep);
    assert.equal(folder.role, 'client');
    await folder.close();
    await server.close();
    lock.release();
  });
});

test('a client waits for a holder that is slow to open its socket', async () => {
  const held = join(root, 'held');
  const lock = lockFolder(held);
  assert.ok(lock.held);
  const waiting = openFolder(held);
  const server = await startIpcServer(db, socketPath(held));
  const folder = await waiting;
  assert.equal(folder.role, 'client');
  await folder.close();
  await Promise.all([server.close(), server.close()]);
  lock.release();
});

test('when the holder closes, its clients get an error, and the next process becomes the holder', async () => {
  const told = once(client, 'error');
  const session = await client.connect();
  await session.query('begin');
  const lost = once(session, 'error');
  const pending = assert.rejects(client.query('select 1'), isVidbatch('HOLDER_GONE'));
  await closeHolder();
  await closeHolder();
  await Promise.all([told, lost, pending]);
  await assert.rejects(client.query('select 1'), isVidbatch('HOLDER_GONE'));
  await assert.rejects(session.query('commit'), isVidbatch('HOLDER_GONE'));
  await assert.rejects(client.connect(), isVidbatch('HOLDER_GONE'));
  assert.ok(!existsSync(path));

  const child = startChild(`
    const { openFolder } = await import(src + 'data-folder.ts');
    const { role, database } = await openFolder(${JSON.stringify(dir)});
    console.log(role);
    await database.query('insert into vidbatch.note values (8, $1)', ['']);
    console.log('acknowledged');
  `);
  assert.equal(await child.line(), 'holder');
  assert.equal(await child.line(), 'acknowledged');
  const visit = await openFolder(dir);
  assert.equal(visit.role, 'client');
  assert.equal(visit.holderPid, child.pid);
  const sleeping = assert.rejects(visit.database.query('select pg_sleep(60)'), isVidbatch('HOLDER_GONE'));
  await child.kill();
  await sleeping;
  await visit.close();
  assert.ok(existsSync(path), 'the socket file of the dead holder is still there');

  const heir = await openFolder(dir);
  assert.equal(heir.role, 'holder');
  db = heir.database;
  closeHolder = heir.close;
  assert.deepEqual(await notes(), [1, 3, 4, 5, 8]);
  const again = await openFolder(dir);
  assert.equal(again.role, 'client');
  await again.close();
});
