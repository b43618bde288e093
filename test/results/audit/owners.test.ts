import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Evidence, Outcome } from '../../../src/core/outcome.ts';
import { keepUnmatched, keepUnmatchedAnswer } from '../../../src/ledger/send/unmatched-attempts.ts';
import type { Verdict } from '../../../src/results/audit/candidate.ts';
import { audit } from '../../../src/results/audit/audit.ts';
import type { Database } from '../../../src/database/database.ts';
import { resolveAccepted } from '../../../src/ledger/operator/resolve.ts';
import { countChosen } from '../../../src/ledger/read/uncertain.ts';
import { claimFirst, makeBatch, only, outcomeOf, recordOne, type Made } from '../../contract/rows.ts';
import { openStorage, type Storage } from '../../contract/storages.ts';

const MODEL = 'viduq3p-720p';

/** Postgres can store it neither as text nor inside JSON. */
const UNSTORABLE: Evidence = { phase: 'answered', httpStatus: 200, body: 'half a character \ud800 and \0' };

async function loseRow(db: Database, origin: string, outcome: Outcome): Promise<void> {
  const attempt = randomUUID();
  const intent = { attempt, batch: 'lost', key: 'k', number: 1, epoch: 0, at: new Date().toISOString() };
  await keepUnmatched(db, { origin, worker: 'w' }, intent);
  assert.equal(await keepUnmatchedAnswer(db, attempt, outcome), true);
}

/** Whoever else may have made the one task that fits an uncertain row. */
const OTHERS: Record<string, (db: Database, origin: string) => Promise<void>> = {
  'an uncertain row of another batch': async (db, origin) => {
    const made = await makeBatch(db, { origin });
    await recordOne(db, await claimFirst(db, made), outcomeOf('uncertain'));
  },
  'a row in flight': async (db, origin) => {
    await claimFirst(db, await makeBatch(db, { origin }));
  },
  'a row that was given up': async (db, origin) => {
    const made = await makeBatch(db, { origin });
    await recordOne(db, await claimFirst(db, made), outcomeOf('uncertain'));
    await db.query(
      `update vidbatch.row_state set previous = state, state = 'abandoned' where batch_id = $1`,
      [made.id],
    );
  },
  'an earlier attempt of a row that was sent again and accepted': async (db, origin) => {
    const made = await makeBatch(db, { origin });
    await recordOne(db, await claimFirst(db, made), outcomeOf('uncertain'));
    await db.query(`update vidbatch.row_state set previous = state, state = 'pending' where batch_id = $1`, [
      made.id,
    ]);
    await recordOne(db, await claimFirst(db, made), 'accepted');
  },
  'an attempt whose row was lost': async (db, origin) => {
    await db.query(
      `insert into vidbatch.unmatched_attempt (attempt_id, batch, row_key, number, epoch, worker, origin, intended_at)
       values ($1, 'lost', 'k', 1, 0, 'w', $2, now())`,
      [randomUUID(), origin],
    );
  },
  'an attempt whose row was lost, with an answer that says nothing': async (db, origin) => {
    await loseRow(db, origin, outcomeOf('uncertain', UNSTORABLE));
  },
};

/** Who cannot have made it. */
const NOBODY: Record<string, (db: Database, origin: string) => Promise<void>> = {
  'a row of another model': async (db, origin) => {
    const made = await makeBatch(db, { origin, model: 'viduq3t-720p' });
    await recordOne(db, await claimFirst(db, made), outcomeOf('uncertain'));
  },
  'a row at another provider': async (db) => {
    await recordOne(db, await claimFirst(db, await makeBatch(db)), outcomeOf('uncertain'));
  },
  'a row that was refused': async (db, origin) => {
    await recordOne(db, await claimFirst(db, await makeBatch(db, { origin })), outcomeOf('rejected'));
  },
  'an attempt whose row was lost, and which has another task': async (db, origin) => {
    await loseRow(db, origin, { kind: 'accepted', taskId: 'task_\0\ud800other', evidence: UNSTORABLE });
  },
  'a row whose task a person has found': async (db, origin) => {
    const made = await makeBatch(db, { origin });
    const { submissionId } = await claimFirst(db, made).then(async (claimed) => {
      await recordOne(db, claimed, outcomeOf('uncertain'));
      return claimed;
    });
    const choice = { batchId: made.id, submissionId };
    const { asOf } = await countChosen(db, choice);
    await resolveAccepted(db, { ...choice, asOf }, 'found', { who: 'ann', reason: 'seen' });
  },
};

describe('a task of an uncertain row’s model and time', () => {
  let storage: Storage;
  let folder: string;

  before(async () => {
    storage = await openStorage('embedded');
    folder = await mkdtemp(join(tmpdir(), 'vidbatch-owners-'));
  });
  after(async () => {
    await storage.close();
    await rm(folder, { recursive: true, force: true });
  });

  /**
   * What the row is told, beside a task that both sides know. `as`: how the audit sees the ledger; `verdicts` gets what was
   * told before it failed.
   */
  async function verdictOf(
    other: (db: Database, origin: string) => Promise<void>,
    as: (db: Database) => Database = (db) => db,
    verdicts: Verdict['kind'][] = [],
  ): Promise<Verdict['kind']> {
    const { db } = storage;
    const made: Made = await makeBatch(db);
    const { origin } = made;
    await recordOne(db, await claimFirst(db, made), outcomeOf('uncertain'));
    const answered = await makeBatch(db, { origin });
    await recordOne(db, await claimFirst(db, answered), outcomeOf('accepted', { taskId: `known-${origin}` }));
    await other(db, origin);
    const { rows } = await db.query<{ now: number }>('select extract(epoch from now())::bigint as now');
    const lines = [`known-${origin}`, 'task-x'].map((task) => `${task},${MODEL},${only(rows).now}`);
    const path = join(folder, 'list.csv');
    await writeFile(path, ['task_id,model,created_at', ...lines].join('\n'));
    await audit(as(db), {
      files: [path],
      origin,
      batch: made,
      map: new Map(),
      zone: undefined,
      currency: undefined,
      negative: undefined,
      toleranceMs: 60_000,
      price: () => undefined,
      onVerdict: (_row, { kind }) => void verdicts.push(kind),
    });
    return only(verdicts);
  }

  for (const [who, other] of Object.entries(OTHERS)) {
    test(`is not settled while it may belong to ${who}`, async () => {
      assert.equal(await verdictOf(other), 'ambiguous');
    });
  }

  for (const [who, other] of Object.entries(NOBODY)) {
    test(`is settled beside ${who}`, async () => {
      assert.equal(await verdictOf(other), 'settled');
    });
  }

  test('is not settled by what was read of staged rows that are lost meanwhile', async () => {
    const losing = (db: Database): Database => ({
      query: async (text, params) => {
        const answer = await db.query(text, params);
        // The tasks of this row are read, but not the other rows that may have made them.
        if (text.includes('as owned(owner)')) await db.query('delete from vidbatch.import');
        return answer as never;
      },
      connect: () => db.connect(),
      end: () => db.end(),
    });
    const another = OTHERS['an uncertain row of another batch'];
    assert.ok(another);
    const told: Verdict['kind'][] = [];
    await assert.rejects(verdictOf(another, losing, told), {
      code: 'IMPORT_LOST',
      message: /database was restarted/,
    });
    assert.deepEqual(told, []);
  });
});
