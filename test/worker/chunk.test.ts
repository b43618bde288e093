import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Blocked } from '../../src/ledger/send/blocked.ts';
import type { Claim } from '../../src/ledger/send/claim.ts';
import { sendChunk, type ChunkPorts } from '../../src/worker/chunk.ts';
import type { Claimed } from '../../src/worker/ledger-writer.ts';
import { createSlots, type Slots } from '../../src/worker/slots.ts';
import type { ClaimedRow, Settled } from '../../src/worker/submit.ts';
import { outcomeOf } from '../contract/rows.ts';
import { until } from '../until.ts';

interface Staged {
  ports: ChunkPorts;
  slots: Slots;
  /** How many rows each claim asked for. */
  asked: number[];
  /** What it waited for, in milliseconds. */
  pauses: number[];
  /** Rows that are being sent, in order: the provider answers when it is told to. */
  flying: { row: ClaimedRow; answer: (error?: Error) => void }[];
  told: Claimed[];
  pass: (ms: number) => void;
  stop: () => void;
  answerAll: () => void;
}

interface Script {
  concurrency?: number;
  /** Rows that the batch has. */
  rows?: number;
  /** Why there are no more. */
  blocked?: Blocked;
  claimFails?: () => boolean;
  mayClaim?: () => Promise<boolean>;
  /** Milliseconds that a claim takes. */
  claimTakes?: number;
}

/** SubmitPorts of a worker; rows stay in flight until they are answered. */
function stage({
  concurrency = 4,
  rows = 100,
  blocked = { reason: 'nothing' },
  claimFails = () => false,
  mayClaim = () => Promise.resolve(true),
  claimTakes = 0,
}: Script = {}): Staged {
  let now = 1_000;
  let left = rows;
  let stopping = false;
  const slots = createSlots(concurrency);
  const staged: Omit<Staged, 'ports'> = {
    slots,
    asked: [],
    pauses: [],
    flying: [],
    told: [],
    pass(ms) {
      now += ms;
    },
    stop() {
      stopping = true;
    },
    answerAll() {
      for (const { answer } of staged.flying.splice(0)) answer();
    },
  };
  let last: Promise<unknown> = Promise.resolve();
  const ports: ChunkPorts = {
    slots,
    clock: { wall: () => now, monotonic: () => now },
    oneByOne<T>(act: () => Promise<T>) {
      const next = last.then(act);
      last = next.catch(() => undefined);
      return next;
    },
    mayClaim,
    isStopping: () => stopping,
    pause: (ms) => {
      staged.pauses.push(ms);
      now += ms;
      return Promise.resolve();
    },
    claim: (_batch, most) => {
      staged.asked.push(most);
      now += claimTakes;
      if (claimFails()) return Promise.reject(new Error('ledger away'));
      const taken = Math.min(most, left);
      left -= taken;
      const claims = Array.from({ length: taken }, (_, n) => ({ key: `k${n}`, attemptId: `a${n}` }) as Claim);
      return Promise.resolve(taken === most ? { claims } : { claims, blocked });
    },
    send: (row) =>
      new Promise((resolve, reject) => {
        staged.flying.push({
          row,
          answer: (error) => (error === undefined ? resolve(accepted(row)) : reject(error)),
        });
      }),
    onClaimed: (claimed) => staged.told.push(claimed),
  };
  return { ...staged, ports };
}

function accepted({ claim }: ClaimedRow): Settled {
  const recorded = {
    attemptId: claim.attemptId,
    state: 'submitted',
    moved: true,
    surplus: false,
    known: false,
    halted: false,
  } as const;
  return { kind: 'settled', claim, outcome: outcomeOf('accepted'), recorded, waitMs: 0 };
}

/** Lets a chunk go on for as long as it can without an answer. */
async function settle(): Promise<void> {
  for (let n = 0; n < 5; n += 1) await new Promise(setImmediate);
}

describe('a chunk', () => {
  test('claims as many rows as there are free slots, and the next ones as slots become free', async () => {
    const { ports, asked, flying, answerAll } = stage({ concurrency: 4 });
    const done = sendChunk({ batch: 1, rows: 10 }, ports);
    await settle();
    assert.deepEqual([asked, flying.length], [[4], 4]);
    flying.shift()?.answer();
    flying.shift()?.answer();
    flying.shift()?.answer();
    await settle();
    assert.equal(
      asked.reduce((sum, one) => sum + one, 0),
      7,
      'what became free was taken again',
    );
    await until(async () => {
      answerAll();
      await settle();
      return asked.reduce((sum, one) => sum + one, 0) === 10 && flying.length === 0;
    });
    const { settled, blocked, errors } = await done;
    assert.deepEqual([settled.length, blocked, errors], [10, undefined, []]);
    assert.equal(ports.slots.inUse(), 0);
  });

  test('claims no more rows than it may', async () => {
    const { ports, asked, answerAll } = stage({ concurrency: 50 });
    const done = sendChunk({ batch: 1, rows: 3 }, ports);
    await settle();
    answerAll();
    assert.equal((await done).settled.length, 3);
    assert.deepEqual(asked, [3]);
  });

  test('ends when it gets no more rows, says why, and waits for the rows that it has claimed', async () => {
    const { ports, slots, flying, told, answerAll } = stage({ rows: 2, blocked: { reason: 'window' } });
    let over = false;
    const done = sendChunk({ batch: 1, rows: 10 }, ports).finally(() => (over = true));
    await settle();
    assert.deepEqual(
      [over, flying.length, slots.inUse()],
      [false, 2, 2],
      'the slots that it did not need are free',
    );
    answerAll();
    const report = await done;
    assert.deepEqual([report.settled.length, report.blocked], [2, { reason: 'window' }]);
    assert.deepEqual(
      told.map(({ claims }) => claims.length),
      [2],
    );
  });

  test('that finds no row ends at once', async () => {
    const { ports, slots } = stage({ rows: 0, blocked: { reason: 'paused' } });
    assert.deepEqual(await sendChunk({ batch: 1, rows: 10 }, ports), {
      settled: [],
      errors: [],
      blocked: { reason: 'paused' },
    });
    assert.equal(slots.inUse(), 0);
  });

  test('claims no more once a second has passed since its first claim', async () => {
    const { ports, asked, flying, answerAll, pass } = stage({ concurrency: 2 });
    const done = sendChunk({ batch: 1, rows: 10 }, ports);
    await settle();
    pass(999);
    flying.shift()?.answer();
    await settle();
    assert.deepEqual(asked, [2, 1]);
    pass(1);
    answerAll();
    const { settled, blocked } = await done;
    assert.deepEqual([asked, settled.length, blocked], [[2, 1], 3, undefined]);
  });

  test('that waited for a slot still has its full second', async () => {
    const { ports, slots, asked, answerAll, pass } = stage({ concurrency: 2 });
    await slots.take(2);
    const done = sendChunk({ batch: 1, rows: 2 }, ports);
    await settle();
    pass(60_000);
    slots.release(2);
    await settle();
    answerAll();
    assert.equal((await done).settled.length, 2);
    assert.deepEqual(asked, [2]);
  });

  for (const reason of ['rate', 'in-flight'] as const) {
    test(`waits itself for the next slot under a limit (${reason})`, async () => {
      const { ports, asked, pauses, told, answerAll } = stage({
        rows: 0,
        blocked: { reason, waitMs: 400 },
      });
      const done = sendChunk({ batch: 1, rows: 3 }, ports);
      await settle();
      answerAll();
      assert.deepEqual((await done).blocked, { reason, waitMs: 400 });
      assert.deepEqual(pauses, [400, 400], 'for as long as its second lasts');
      assert.deepEqual(asked, [3, 3, 3]);
      assert.equal(told.length, 3);
    });
  }

  test('does not wait for what the feeder will see', async () => {
    const { ports, pauses } = stage({ rows: 0, blocked: { reason: 'not-due', waitMs: 10 } });
    await sendChunk({ batch: 1, rows: 3 }, ports);
    assert.deepEqual(pauses, []);
  });

  test('whose claim fails gives its slots back, and waits for the rows that it had claimed', async () => {
    let claims = 0;
    const { ports, slots, flying, answerAll } = stage({ concurrency: 3, claimFails: () => ++claims > 1 });
    let over = false;
    const done = sendChunk({ batch: 1, rows: 10 }, ports).finally(() => (over = true));
    const failed = assert.rejects(done, /ledger away/);
    await settle();
    flying.shift()?.answer();
    await settle();
    assert.deepEqual([over, slots.inUse()], [false, 2]);
    answerAll();
    await failed;
    assert.equal(slots.inUse(), 0);
  });

  test('with a row that is not recorded reports the error, and sends the others', async () => {
    const { ports, slots, flying, answerAll } = stage({ concurrency: 3 });
    const done = sendChunk({ batch: 1, rows: 3 }, ports);
    await settle();
    const error = new Error('unknown attempt');
    flying.shift()?.answer(error);
    answerAll();
    const { settled, errors } = await done;
    assert.deepEqual([settled.length, errors], [2, [error]]);
    assert.equal(slots.inUse(), 0);
  });

  test('of a worker that stops claims no more', async () => {
    const { ports, asked, flying, stop, answerAll } = stage({ concurrency: 2 });
    const done = sendChunk({ batch: 1, rows: 10 }, ports);
    await settle();
    stop();
    flying.shift()?.answer();
    await settle();
    answerAll();
    assert.equal((await done).settled.length, 2);
    assert.deepEqual(asked, [2]);
  });

  test('claims nothing while all rows have to wait, and nothing at all when the worker stops meanwhile', async () => {
    const gate = Promise.withResolvers<boolean>();
    const { ports, asked } = stage({ mayClaim: () => gate.promise });
    const done = sendChunk({ batch: 1, rows: 10 }, ports);
    await settle();
    assert.deepEqual(asked, []);
    gate.resolve(false);
    assert.deepEqual(await done, { settled: [], errors: [] });
    assert.deepEqual(asked, []);
  });

  test('counts from the moment before its claim: a row that waited in the claim is not sent late', async () => {
    const { ports, flying, answerAll } = stage({ concurrency: 1, claimTakes: 700 });
    const done = sendChunk({ batch: 1, rows: 1 }, ports);
    await settle();
    assert.deepEqual(flying[0]?.row.asked, { wall: 1_000, monotonic: 1_000 });
    answerAll();
    await done;
  });

  test('and another one claim one after the other, and share the slots', async () => {
    const { ports, asked, flying, answerAll } = stage({ concurrency: 4 });
    const both = [sendChunk({ batch: 1, rows: 3 }, ports), sendChunk({ batch: 2, rows: 3 }, ports)];
    await settle();
    assert.deepEqual(asked, [3, 1]);
    assert.equal(flying.length, 4);
    await until(async () => {
      answerAll();
      await settle();
      return asked.reduce((sum, one) => sum + one, 0) === 6 && flying.length === 0;
    });
    assert.deepEqual(
      (await Promise.all(both)).map(({ settled }) => settled.length),
      [3, 3],
    );
  });
});
