import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { Outcome } from '../../src/core/outcome.ts';
import type { Seen } from './closing-server.ts';
import { BODY, provider } from './fixture.ts';

/** A server that closes and resets its connections while and after it answers, and some without an answer. */
async function closingServer(t: TestContext): Promise<{ url: string; seen: () => Promise<Seen> }> {
  const server = fork(new URL('closing-server.ts', import.meta.url), { stdio: 'inherit' });
  t.after(async () => {
    server.kill('SIGKILL');
    await once(server, 'exit');
  });
  const [{ port }] = (await once(server, 'message')) as [AddressInfo];
  return {
    url: `http://127.0.0.1:${port}`,
    async seen() {
      server.send('seen');
      const [seen] = (await once(server, 'message')) as [Seen];
      return seen;
    },
  };
}

describe('a server that closes its connections as we send', () => {
  for (const [how, calls, atOnce] of [
    ['one after another', 1000, 1],
    ['sixteen at once', 3000, 16],
  ] as const) {
    it(`gets each POST at most once, ${how}, and only what it never saw is not sent`, async (t) => {
      const server = await closingServer(t);
      const made = provider(t, server.url, { connections: atOnce });
      const outcomes = new Map<string, Outcome>();
      let next = 0;
      const send = async (): Promise<void> => {
        for (let n = next++; n < calls; n = next++) {
          const key = `k${n}`;
          outcomes.set(key, await made.create(BODY, { idempotencyKey: key }));
        }
      };
      await Promise.all(Array.from({ length: atOnce }, send));

      const { begun, answered } = await server.seen();
      assert.equal(outcomes.size, calls);
      const kinds: Record<string, number> = {};
      for (const [key, outcome] of outcomes) {
        kinds[outcome.kind] = (kinds[outcome.kind] ?? 0) + 1;
        const reads = begun[key] ?? 0;
        assert.ok(reads <= 1, `${key} was read ${reads} times`);
        if (outcome.kind === 'not-sent') assert.equal(reads, 0, `${key} was read`);
        else if (outcome.kind === 'accepted') assert.equal(outcome.taskId, `task_${key}`);
        else assert.equal(outcome.kind, 'uncertain', `${key} is ${outcome.kind}`);
        if (reads === 1 && answered[key] === undefined) assert.equal(outcome.kind, 'uncertain');
      }
      t.diagnostic(JSON.stringify(kinds));
    });
  }
});
