import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clearTextOf } from '../../src/worker/clear-text.ts';

describe('a server of another machine without TLS', () => {
  const told: [databaseUrl: string | undefined, redisUrl: string | undefined, servers: number][] = [
    ['postgres://u:secret@db.example/d', undefined, 1],
    ['postgres://u:secret@10.0.0.5:5432/d?sslmode=disable', undefined, 1],
    ['postgres://u:secret@db.example/d?sslmode=verify-full', undefined, 0],
    ['postgres://u:secret@db.example/d?ssl=true', undefined, 0],
    ['postgres://u:secret@localhost/d', undefined, 0],
    ['postgres://u:secret@127.0.0.1/d', undefined, 0],
    ['postgres://u:secret@[::1]/d', undefined, 0],
    ['postgres://u:secret@db.example/d?host=/var/run/postgresql', undefined, 0],
    ['postgres://u:secret@%2Fvar%2Frun/d', undefined, 0],
    [undefined, 'redis://:secret@queue.example:6379', 1],
    [undefined, 'rediss://:secret@queue.example:6379', 0],
    [undefined, 'redis://:secret@localhost:6379', 0],
    [undefined, 'redis://:secret@[::1]:6379', 0],
    [undefined, 'redis+cluster://localhost:1,queue.example:2', 1],
    ['postgres://u:secret@db.example/d', 'redis://queue.example', 2],
    [undefined, undefined, 0],
  ];
  for (const [databaseUrl, redisUrl, servers] of told) {
    it(`${servers === 0 ? 'is not found' : 'is reported'}: ${databaseUrl ?? ''} ${redisUrl ?? ''}`, () => {
      const found = clearTextOf({ databaseUrl, redisUrl });
      assert.equal(found.length, servers);
      assert.ok(found.every(({ what }) => !what.includes('secret')));
    });
  }
});
