import assert from 'node:assert/strict';
import { after, before, describe, mock, test } from 'node:test';
import { createLedgerWriter, type Claimed } from '../../src/worker/ledger-writer.ts';
import type { Claim } from '../../src/ledger/send/claim.ts';
import type { Database, QueryResult } from '../../src/database/database.ts';
import { readAttempts } from '../../src/ledger/read/rows.ts';
import { hear } from '../contract/log.ts';
import { makeBatch, only, outcomeOf, resultOf, scopeOf, storedOne } from '../contract/rows.ts';
import { openStorage, type Storage } from '../contract/storages.ts';

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

function granted({ claims }: Claimed): Claim {
  return only(claims);
}

describe('claims', () => {
  test('of many rows are one statement; when there are fewer, another one says why', async () => {
    const made = await makeBatch(storage.db, { rows: 20 });
    const { db, statements } = behind(storage.db, []);
    const writer = createLedgerWriter(db, scopeOf(made), hear().log);
    const first = await writer.claim(made.id, 12);
    assert.deepEqual([first.claims.length, first.blocked, statements.length], [12, undefined, 1]);
    const second = await writer.claim(made.id, 12);
    assert.deepEqual([second.claims.length, second.blocked], [8, { reason: 'nothing' }]);
    assert.equal(statements.length, 4, 'from the last row on, from the first, and why');
    const ids = [...first.claims, ...second.claims].map(({ submissionId }) => submissionId);
    assert.deepEqual(
      ids.toSorted((a, b) => a - b),
      made.rows,
    );
    assert.deepEqual(await writer.claim(987_654_321, 5), { claims: [], blocked: { reason: 'unknown' } });
  });

  test('where only one may be in flight: one is granted, and then it says so until the first accept', async () => {
    const made = await makeBatch(storage.db, { rows: 5, proven: false });
    const { db, statements } = behind(storage.db, []);
    const writer = createLedgerWriter(db, scopeOf(made), hear().log);
    const canary = granted(await writer.claim(made.id, 3));
    assert.deepEqual(await writer.claim(made.id, 3), { claims: [], blocked: { reason: 'alone' } });
    await writer.record(resultOf(canary, 'accepted'));
    assert.equal((await writer.claim(made.id, 3)).claims.length, 3);
    statements.length = 0;
    granted(await writer.claim(made.id, 1));
    assert.equal(statements.length, 1, 'and is one statement again');
  });

  test('of several workers at once: one is granted', async () => {
    const made = await makeBatch(storage.db, { rows: 5, proven: false });
    const writers = made.rows.map(() => createLedgerWriter(storage.db, scopeOf(made), hear().log));
    const answers = await Promise.all(writers.map((writer) => writer.claim(made.id, 2)));
    only(answers.flatMap(({ claims }) => claims));
    assert.ok(
      answers.every(({ blocked }) => blocked !== undefined),
      'and none takes it for all that there was',
    );
  });

  test('of a batch with a budget take what it pays for', async () => {
    const made = await makeBatch(storage.db, { rows: 6, price: 2, budget: 7 });
    const { db, statements } = behind(storage.db, []);
    const writer = createLedgerWriter(db, scopeOf(made), hear().log);
    assert.equal((await writer.claim(made.id, 2)).claims.length, 2);
    statements.length = 0;
    const { claims, blocked } = await writer.claim(made.id, 2);
    assert.deepEqual([claims.length, blocked], [1, { reason: 'budget' }]);
    assert.equal(statements.length, 2, 'it knows by now that the batch has to be locked');
  });

  test('under a rate, each row gets its slot at the ledger’s time, also if the query for the other rows is slow', async () => {
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
        if (!text.includes('vidbatch.reserve_slots')) passed += STEP_MS;
        return result;
      },
    };
    try {
      const writer = createLedgerWriter(
        slow,
        scopeOf(made, { limits: [{ model: '', intervalMs: 250 }] }),
        hear().log,
      );
      const { claims, blocked } = await writer.claim(made.id, 3);
      assert.equal(blocked?.reason, 'rate');
      assert.ok(passed >= STEP_MS, 'the third was asked about');
      const [now1, now2] = claims.map(({ slotMs }) => slotMs).toSorted((a = NaN, b = NaN) => a - b);
      assert.equal(claims.length, 2);
      assert.ok(now1 !== undefined && now1 <= 1 - passed, `${now1} ms`);
      assert.ok(now2 !== undefined && now2 > 1 - passed && now2 <= 254 - passed, `${now2} ms`);
    } finally {
      clock.mock.restore();
    }
  });

  test('that never arrived are made again', async () => {
    const made = await makeBatch(storage.db);
    const heard = hear();
    const writer = createLedgerWriter(behind(storage.db, ['lost']).db, scopeOf(made), heard.log);
    const claimed = granted(await writer.claim(made.id, 1));
    assert.equal(claimed.number, 1);
    assert.equal((await heard.event('ledger-failed'))['error'], 'connection lost before');
    await heard.event('answered');
  });

  test('of many rows whose answer was lost still belong to this worker, each row once', async () => {
    const made = await makeBatch(storage.db, { rows: 9 });
    const writer = createLedgerWriter(behind(storage.db, ['unanswered']).db, scopeOf(made), hear().log);
    const { claims, blocked } = await writer.claim(made.id, 6);
    assert.deepEqual([claims.length, blocked], [6, undefined]);
    assert.equal(new Set(claims.map(({ submissionId }) => submissionId)).size, 6);
    const rest = await writer.claim(made.id, 6);
    assert.deepEqual([rest.claims.length, rest.blocked], [3, { reason: 'nothing' }]);
  });

  for (const proven of [true, false]) {
    test(`whose answer was lost still belong to this worker (${proven ? 'plain' : 'with the batch locked'})`, async () => {
      const made = await makeBatch(storage.db, { rows: 2, proven });
      // With the batch locked: the plain claim, and why it brought nothing, come first.
      const fates: Fate[] = proven ? ['unanswered'] : ['well', 'well', 'unanswered'];
      const writer = createLedgerWriter(behind(storage.db, fates).db, scopeOf(made), hear().log);
      const [id = 0] = made.rows;
      const claimed = granted(await writer.claim(made.id, 1));
      const attempt = only(await readAttempts(storage.db, id));
      assert.deepEqual([attempt.id, attempt.number], [claimed.attemptId, 1], 'and there is one attempt');
      assert.equal(claimed.number, 1);
    });
  }
});

for (const proven of [true, false]) {
  test(`a claim that a server commits while it is repeated belongs to this worker (${proven ? 'plain' : 'with the batch locked'})`, async () => {
    const made = await makeBatch(storage.db, { rows: 2, proven });
    const before: Fate[] = proven ? [] : ['well', 'well'];
    const fates: Fate[] = [...before, 'late', 'overtaken'];
    const writer = createLedgerWriter(behind(storage.db, fates).db, scopeOf(made), hear().log);
    const [id = 0] = made.rows;
    const claimed = granted(await writer.claim(made.id, 1));
    const attempt = only(await readAttempts(storage.db, id));
    assert.deepEqual([attempt.id, attempt.number], [claimed.attemptId, 1]);
  });
}

test('a worker that stops gives up a claim while the ledger is away, and not a record', async () => {
  const made = await makeBatch(storage.db, { rows: 2 });
  const stopping = new AbortController();
  const heard = hear();
  const away = behind(storage.db, Array<Fate>(1000).fill('lost'));
  const claiming = createLedgerWriter(away.db, scopeOf(made), heard.log, stopping.signal).claim(made.id, 1);
  await heard.event('ledger-failed');
  stopping.abort();
  await assert.rejects(claiming, /connection lost before/);

  const claimed = granted(await createLedgerWriter(storage.db, scopeOf(made), hear().log).claim(made.id, 1));
  const late = createLedgerWriter(
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
    const writer = createLedgerWriter(db, scopeOf(made), hear().log);
    const { claims } = await writer.claim(made.id, 10);
    statements.length = 0;
    const recorded = await Promise.all(claims.map((claimed) => writer.record(resultOf(claimed, 'accepted'))));
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
      const claimed = granted(
        await createLedgerWriter(storage.db, scopeOf(made), hear().log).claim(made.id, 1),
      );
      const writer = createLedgerWriter(behind(storage.db, [fate, fate]).db, scopeOf(made), hear().log);
      const recorded = await writer.record(resultOf(claimed, outcomeOf('not-sent')));
      assert.equal(recorded.state, 'pending');
      assert.equal((await storedOne(storage.db, id)).spent, 1);
    });
  }

  test('of an attempt that the ledger does not know fail loudly, with the task id, and do not hold up others', async () => {
    const made = await makeBatch(storage.db);
    const writer = createLedgerWriter(storage.db, scopeOf(made), hear().log);
    const claimed = granted(await writer.claim(made.id, 1));
    const stranger = { attemptId: '00000000-0000-4000-8000-000000000000' };
    const [lost, kept] = await Promise.allSettled([
      writer.record(resultOf(stranger, outcomeOf('accepted', { taskId: 'task_lost' }))),
      writer.record(resultOf(claimed, 'accepted')),
    ]);
    assert.equal(kept.status, 'fulfilled');
    assert.match(
      String((lost as PromiseRejectedResult).reason),
      /task_lost.*not in the ledger|not in the ledger.*task_lost/,
    );
  });
});
