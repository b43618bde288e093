import assert from 'node:assert/strict';
import { after, before, describe, mock, test } from 'node:test';
import { createClerk } from '../../src/worker/clerk.ts';
import type { Claim } from '../../src/ledger/send/claim.ts';
import type { Refusal } from '../../src/ledger/send/refusal.ts';
import type { Database, QueryResult } from '../../src/database/database.ts';
import { readAttempts } from '../../src/ledger/read/read.ts';
import { hear } from '../contract/log.ts';
import { makeBatch, only, outcomeOf, resultOf, scopeOf, storedOne } from '../contract/rows.ts';
import { openStorage } from '../contract/storages.ts';
import type { Storage } from '../contract/storages.ts';

let storage: Storage;

before(async () => {
  storage = await openStorage('postgres');
});
after(() => storage.close());

/**
 * What happens to a statement: it never arrives, it is committed but its answer is lost, or all is well. `late`: it is
 * lost, and yet arrives before the first one that is `overtaken`.
 */
type Fate = 'lost' | 'unanswered' | 'well' | 'late' | 'overtaken';

/** The ledger behind a connection that treats statements as `fates` says, one after another, and well from then on. */
function behind(db: Database, fates: Fate[]): { db: Database; statements: string[] } {
  const statements: string[] = [];
  let late: () => Promise<unknown> = () => Promise.resolve();
  const query = async <Row>(text: string, params?: readonly unknown[]): Promise<QueryResult<Row>> => {
    statements.push(text);
    const fate = fates.shift() ?? 'well';
    if (fate === 'late') late = () => db.query(text, params);
    if (fate === 'lost' || fate === 'late') throw new Error('connection lost before');
    if (fate === 'overtaken') await late();
    const result = await db.query<Row>(text, params);
    if (fate === 'unanswered') throw new Error('connection lost after');
    return result;
  };
  return { db: { query, connect: () => db.connect(), end: () => db.end() }, statements };
}

function granted(answer: Claim | Refusal): Claim {
  assert.ok(!('reason' in answer), JSON.stringify(answer));
  return answer;
}

describe('claims', () => {
  test('that are made at once share a statement; each gets its claim, or why not', async () => {
    const made = await makeBatch(storage.db, { rows: 20 });
    const { db, statements } = behind(storage.db, []);
    const clerk = createClerk(db, scopeOf(made), hear().log);
    const wishes = [...made.rows, made.rows[0] ?? 0, 987_654_321];
    const answers = await Promise.all(wishes.map((id) => clerk.claim(id)));
    assert.equal(statements.length, 2, 'one to claim, one to say why not');
    const claims = answers.filter((answer): answer is Claim => !('reason' in answer));
    assert.deepEqual(
      claims.map(({ submissionId }) => submissionId).toSorted((a, b) => a - b),
      made.rows,
    );
    for (const [n, answer] of answers.entries()) assert.equal(answer.submissionId, wishes[n]);
    const reasons = answers.flatMap((answer) => ('reason' in answer ? [answer.reason] : []));
    assert.deepEqual(reasons, ['not-pending', 'unknown']);
  });

  test('where only one may be in flight: one is granted, the others are told', async () => {
    const made = await makeBatch(storage.db, { rows: 5, proven: false });
    const clerk = createClerk(storage.db, scopeOf(made), hear().log);
    const answers = await Promise.all(made.rows.map((id) => clerk.claim(id)));
    const reasons = answers.flatMap((answer) => ('reason' in answer ? [answer.reason] : []));
    assert.deepEqual(reasons, ['alone', 'alone', 'alone', 'alone']);
  });

  test('under a rate, each has its turn when the ledger said, however long it takes to say why others have none', async () => {
    const made = await makeBatch(storage.db, { rows: 3 });
    const STEP_MS = 100;
    let passed = 0;
    // Only the questions take time here: on a busy machine the turn would be over before it is looked at.
    const begun = performance.now();
    const clock = mock.method(performance, 'now', () => begun + passed);
    const slow: Database = {
      ...behind(storage.db, []).db,
      async query<Row>(text: string, params?: readonly unknown[]) {
        const result = await storage.db.query<Row>(text, params);
        if (!text.includes('vidbatch.turns')) passed += STEP_MS;
        return result;
      },
    };
    try {
      const clerk = createClerk(
        slow,
        scopeOf(made, { limits: [{ model: '', intervalMs: 250 }] }),
        hear().log,
      );
      const [first, second, third] = await Promise.all(made.rows.map((id) => clerk.claim(id)));
      const asks = passed / STEP_MS;
      assert.ok(third !== undefined && 'reason' in third && third.reason === 'rate');
      assert.ok(asks >= 1, 'the third was asked about');
      const [now1, now2] = [first, second].map((one) => (one && !('reason' in one) ? one.turnMs : undefined));
      assert.ok(now1 !== undefined && now1 <= 1 - passed, `${now1} ms`);
      assert.ok(now2 !== undefined && now2 > 1 - passed && now2 <= 254 - passed, `${now2} ms`);
    } finally {
      clock.mock.restore();
    }
  });

  test('that never arrived are made again', async () => {
    const made = await makeBatch(storage.db);
    const heard = hear();
    const clerk = createClerk(behind(storage.db, ['lost']).db, scopeOf(made), heard.log);
    const claimed = granted(await clerk.claim(made.rows[0] ?? 0));
    assert.equal(claimed.number, 1);
    assert.equal((await heard.event('ledger-failed'))['error'], 'connection lost before');
    await heard.event('answered');
  });

  for (const proven of [true, false]) {
    test(`whose answer was lost are ours all the same (${proven ? 'in a group' : 'alone'})`, async () => {
      const made = await makeBatch(storage.db, { rows: 2, proven });
      // Alone: the group's claim and the reasons come first.
      const fates: Fate[] = proven ? ['unanswered'] : ['well', 'well', 'unanswered'];
      const clerk = createClerk(behind(storage.db, fates).db, scopeOf(made), hear().log);
      const [id = 0] = made.rows;
      const claimed = granted(await clerk.claim(id));
      const attempt = only(await readAttempts(storage.db, id));
      assert.deepEqual([attempt.id, attempt.number], [claimed.attemptId, 1], 'and there is one attempt');
      assert.equal(claimed.number, 1);
    });
  }
});

for (const proven of [true, false]) {
  test(`a claim that a server commits while it is made again is ours (${proven ? 'in a group' : 'alone'})`, async () => {
    const made = await makeBatch(storage.db, { rows: 2, proven });
    const before: Fate[] = proven ? [] : ['well', 'well'];
    const fates: Fate[] = [...before, 'late', 'overtaken'];
    const clerk = createClerk(behind(storage.db, fates).db, scopeOf(made), hear().log);
    const [id = 0] = made.rows;
    const claimed = granted(await clerk.claim(id));
    const attempt = only(await readAttempts(storage.db, id));
    assert.deepEqual([attempt.id, attempt.number], [claimed.attemptId, 1]);
  });
}

test('a worker that stops gives up a claim while the ledger is away, and not a record', async () => {
  const made = await makeBatch(storage.db, { rows: 2 });
  const [first = 0, second = 0] = made.rows;
  const stopping = new AbortController();
  const heard = hear();
  const away = behind(storage.db, Array<Fate>(1000).fill('lost'));
  const claiming = createClerk(away.db, scopeOf(made), heard.log, stopping.signal).claim(first);
  await heard.event('ledger-failed');
  stopping.abort();
  await assert.rejects(claiming, /connection lost before/);

  const claimed = granted(await createClerk(storage.db, scopeOf(made), hear().log).claim(second));
  const late = createClerk(
    behind(storage.db, ['lost', 'lost']).db,
    scopeOf(made),
    hear().log,
    stopping.signal,
  );
  assert.equal((await late.record(resultOf(claimed, 'accepted'))).state, 'submitted');
});

describe('records', () => {
  test('that are made at once share a statement', async () => {
    const made = await makeBatch(storage.db, { rows: 10 });
    const { db, statements } = behind(storage.db, []);
    const clerk = createClerk(db, scopeOf(made), hear().log);
    const claims = await Promise.all(made.rows.map(async (id) => granted(await clerk.claim(id))));
    statements.length = 0;
    const recorded = await Promise.all(claims.map((claimed) => clerk.record(resultOf(claimed, 'accepted'))));
    assert.equal(statements.length, 1);
    assert.deepEqual(
      recorded.map(({ attemptId, state }) => [attemptId, state]),
      claims.map(({ attemptId }) => [attemptId, 'submitted']),
    );
  });

  for (const fate of ['lost', 'unanswered'] as const) {
    test(`that were ${fate} are written again, and count once`, async () => {
      const made = await makeBatch(storage.db);
      const [id = 0] = made.rows;
      const claimed = granted(await createClerk(storage.db, scopeOf(made), hear().log).claim(id));
      const clerk = createClerk(behind(storage.db, [fate, fate]).db, scopeOf(made), hear().log);
      const recorded = await clerk.record(resultOf(claimed, outcomeOf('not-sent')));
      assert.equal(recorded.state, 'pending');
      assert.equal((await storedOne(storage.db, id)).spent, 1);
    });
  }

  test('of an attempt that the ledger does not know fail loudly, with the task id, and do not hold up others', async () => {
    const made = await makeBatch(storage.db);
    const clerk = createClerk(storage.db, scopeOf(made), hear().log);
    const claimed = granted(await clerk.claim(made.rows[0] ?? 0));
    const stranger = { attemptId: '00000000-0000-4000-8000-000000000000' };
    const [lost, kept] = await Promise.allSettled([
      clerk.record(resultOf(stranger, outcomeOf('accepted', { taskId: 'task_lost' }))),
      clerk.record(resultOf(claimed, 'accepted')),
    ]);
    assert.equal(kept.status, 'fulfilled');
    assert.match(
      String((lost as PromiseRejectedResult).reason),
      /task_lost.*not in the ledger|not in the ledger.*task_lost/,
    );
  });
});
