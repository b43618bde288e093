import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cancel } from '../../../src/ledger/operator/pause.ts';
import type { Claim } from '../../../src/ledger/send/claim.ts';
import type { Database, Queryable } from '../../../src/database/database.ts';
import { closeSource } from '../../../src/ledger/copy/close-source.ts';
import { readAttempts, readEventLog } from '../../../src/ledger/read/rows.ts';
import { recordWithin } from '../../../src/ledger/send/record.ts';
import { resolveAbandon, resolveAccepted, resolveNotSent } from '../../../src/ledger/operator/resolve.ts';
import { sweep } from '../../../src/ledger/send/sweep.ts';
import {
  countChosen,
  readUnsettled,
  type Choice,
  type Unsettled,
} from '../../../src/ledger/read/uncertain.ts';
import { groupUncertain, listUncertain } from '../../../src/ledger/read/uncertain-groups.ts';
import { formatMoney } from '../../../src/core/money/money.ts';
import type { Evidence } from '../../../src/core/outcome.ts';
import {
  claimAll,
  claimFirst,
  countSurplus,
  letTimePass,
  makeBatch,
  only,
  outcomeOf,
  recordOne,
  resultOf,
  statesOf,
  storedOne,
  type Made,
} from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';
import { until } from '../../until.ts';

const SAID = { who: 'alice@desk', reason: 'not in their list' };
const NONE = { pending: 0, cancelled: 0, abandoned: 0 };

const WORDS = {
  'not sent': resolveNotSent,
  abandoned: resolveAbandon,
  found: (db: Database, seen: Parameters<typeof resolveAccepted>[1], said: typeof SAID) =>
    resolveAccepted(db, seen, 'other', said),
};

interface Doubt {
  made: Made;
  id: number;
  claimed: Claim;
}

/** A row whose answer says nothing: uncertain at once, long before its deadline. */
async function unclear(db: Database, evidence: Partial<Evidence> = {}): Promise<Doubt> {
  const made = await makeBatch(db);
  const claimed = await claimFirst(db, made);
  await recordOne(db, claimed, outcomeOf('uncertain', evidence));
  return { made, id: claimed.submissionId, claimed };
}

/** A row of which nothing was heard until its deadline had passed. */
async function silent(db: Database): Promise<Doubt> {
  const made = await makeBatch(db);
  const claimed = await claimFirst(db, made);
  await pastDeadline(db, made);
  await sweep(db);
  return { made, id: claimed.submissionId, claimed };
}

async function pastDeadline(db: Database, made: Made): Promise<void> {
  await letTimePass(db, made, 100_000);
  await db.query(
    `update vidbatch.attempt set deadline = deadline - interval '100 s', claimed_at = claimed_at - interval '100 s'
      where submission_id = any($1::bigint[])`,
    [made.rows],
  );
}

/** As a person sees it now. */
async function look<T extends Choice>(db: Database, choice: T): Promise<T & { asOf: string }> {
  return { ...choice, asOf: (await countChosen(db, choice)).asOf };
}

const rowOf = ({ made, id }: Doubt): Choice & { submissionId: number } => ({
  batchId: made.id,
  submissionId: id,
});

async function list(db: Database, made: Made, pageSize?: number): Promise<Unsettled[]> {
  const rows: Unsettled[] = [];
  for await (const row of readUnsettled(db, made.id, pageSize)) rows.push(row);
  return rows;
}

onEvery(['postgres'], (storage) => {
  for (const [name, resolve] of Object.entries(WORDS)) {
    test(`${name}: an answer that is being recorded is waited for, and wins`, async () => {
      const { db } = storage();
      const doubt = await silent(db);
      const seen = await look(db, rowOf(doubt));
      const session = await db.connect();
      try {
        await session.query('begin');
        const late = resultOf(doubt.claimed, outcomeOf('accepted', { taskId: 'late' }));
        await recordWithin(session, [late]);
        const over = new AbortController();
        const said = resolve(db, seen, SAID).finally(() => over.abort());
        for (let waiting = 0; waiting === 0 && !over.signal.aborted;) {
          const { rows } = await db.query<{ n: number }>(
            `select count(*)::int as n from pg_stat_activity
              where datname = current_database() and wait_event_type = 'Lock' and query like 'with seen as%'`,
          );
          waiting = only(rows).n;
        }
        await session.query('commit');
        assert.deepEqual(await said, name === 'found' ? { kind: 'moved' } : NONE);
      } finally {
        session.release();
      }
      const row = await storedOne(db, doubt.id);
      assert.deepEqual([row.state, row.task_id], ['submitted', 'late']);
      assert.deepEqual(await readEventLog(db, doubt.id), []);
    });
  }

  for (const [name, resolve] of Object.entries(WORDS)) {
    test(`${name}: a copy that begins meanwhile is made after the decision, and has it`, async () => {
      const { db, another } = storage();
      const doubt = await silent(db);
      const seen = await look(db, rowOf(doubt));
      const other = await another();
      let closing: Promise<unknown> | undefined;
      const isWaiting = async (): Promise<boolean> =>
        (await db.query(`select from pg_locks where locktype = 'advisory' and not granted`)).rows.length > 0;
      /** Begins to close the ledger directly after it was seen to be open. */
      const closesThen = (session: Queryable): Pick<Queryable, 'query'> => ({
        async query<Row>(text: string, params?: readonly unknown[]) {
          const result = await session.query<Row>(text, params);
          if (text.includes('closed_code as code') && closing === undefined) {
            let isClosed = false;
            closing = closeSource(other.db, { to: 'there', who: 'a test', alone: true }).finally(() => {
              isClosed = true;
            });
            await until(async () => isClosed || (await isWaiting()));
          }
          return result;
        },
      });
      const slow: Database = {
        ...closesThen(db),
        end: () => db.end(),
        async connect() {
          const session = await db.connect();
          return { ...closesThen(session), release: (destroy) => session.release(destroy) };
        },
      };
      try {
        await resolve(slow, seen, SAID);
        await closing;
        const { rows } = await db.query<{ event: string }>(
          `select event from vidbatch.event_log where submission_id = $1 or event = 'ledger-copying' order by id desc limit 2`,
          [doubt.id],
        );
        assert.equal(rows[0]?.event, 'ledger-copying');
        assert.match(rows[1]?.event ?? '', /^resolve /);
      } finally {
        await db.query('update vidbatch.meta set closed_code = null, closed_note = null, closed_at = null');
        await other.close();
      }
    });
  }
});

onEvery(SQL_LEDGERS, (storage) => {
  describe('a row that is resolved as not sent', () => {
    test('is pending with fresh attempts, and the event log names the person and the reason', async () => {
      const { db } = storage();
      const doubt = await silent(db);
      const { id } = doubt;
      await db.query('update vidbatch.row_state set spent = 4 where id = $1', [id]);
      const moved = await resolveNotSent(db, await look(db, rowOf(doubt)), SAID);
      assert.deepEqual(moved, { ...NONE, pending: 1 });
      const row = await storedOne(db, id);
      assert.deepEqual([row.state, row.previous, row.spent, row.error], ['pending', 'uncertain', 0, null]);
      const { at, ...told } = only(await readEventLog(db, id));
      assert.deepEqual(told, { event: 'resolve --not-sent', who: 'alice@desk', detail: 'not in their list' });
      assert.ok(at instanceof Date);
      assert.equal((await claimFirst(db, doubt.made)).number, 2);
    });

    test('stays uncertain until its deadline has passed, by the clock of the database', async () => {
      const { db } = storage();
      const doubt = await unclear(db);
      const counted = await countChosen(db, rowOf(doubt));
      assert.deepEqual([counted.rows, counted.waiting], [1, 1]);
      assert.ok((counted.until?.getTime() ?? 0) > Date.now() - 60_000);
      assert.deepEqual(await resolveNotSent(db, await look(db, rowOf(doubt)), SAID), NONE);
      assert.equal((await storedOne(db, doubt.id)).state, 'uncertain');
      assert.deepEqual(await readEventLog(db, doubt.id), []);
      await pastDeadline(db, doubt.made);
      assert.equal((await countChosen(db, rowOf(doubt))).waiting, 0);
      assert.equal((await resolveNotSent(db, await look(db, rowOf(doubt)), SAID)).pending, 1);
    });

    test('of a batch that was cancelled meanwhile is cancelled', async () => {
      const { db } = storage();
      const doubt = await silent(db);
      await cancel(db, doubt.made.id);
      const moved = await resolveNotSent(db, await look(db, rowOf(doubt)), SAID);
      assert.deepEqual(moved, { ...NONE, cancelled: 1 });
      assert.equal((await storedOne(db, doubt.id)).state, 'cancelled');
    });

    test('but was accepted: the late task id is its own, and it is not sent again', async () => {
      const { db } = storage();
      const doubt = await silent(db);
      await resolveNotSent(db, await look(db, rowOf(doubt)), SAID);
      const recorded = await recordOne(db, doubt.claimed, outcomeOf('accepted', { taskId: 'late' }));
      assert.deepEqual([recorded.state, recorded.surplus], ['submitted', false]);
      await assert.rejects(claimFirst(db, doubt.made));
    });

    test('but was accepted, and answered after it was sent again: both ids are kept, one as surplus', async () => {
      const { db } = storage();
      const doubt = await silent(db);
      await resolveNotSent(db, await look(db, rowOf(doubt)), SAID);
      const second = await claimFirst(db, doubt.made);
      await recordOne(db, second, outcomeOf('accepted', { taskId: 'second' }));
      const late = await recordOne(db, doubt.claimed, outcomeOf('accepted', { taskId: 'first' }));
      assert.deepEqual([late.state, late.surplus], ['submitted', true]);
      assert.equal(await countSurplus(db, doubt.made.id), 1);
      const shown = only(await list(db, doubt.made));
      assert.deepEqual([shown.kind, shown.taskId, shown.surplus], ['surplus', 'second', ['first']]);
    });
  });

  describe('a row whose task was found', () => {
    test('is submitted; the id has an attempt of its own, and the uncertain attempt keeps its evidence', async () => {
      const { db } = storage();
      const doubt = await unclear(db, { httpStatus: 502, body: 'bad gateway' });
      const seen = await look(db, rowOf(doubt));
      assert.equal((await resolveAccepted(db, seen, 'task_1', SAID)).kind, 'submitted');
      const row = await storedOne(db, doubt.id);
      assert.deepEqual(
        [row.state, row.task_id, row.submitted, row.error, row.attempts],
        ['submitted', 'task_1', true, null, 2],
      );
      const attempts = await readAttempts(db, doubt.id);
      assert.deepEqual(
        attempts.map(({ number, outcome, taskId, body, surplus }) => [
          number,
          outcome,
          taskId,
          body,
          surplus,
        ]),
        [
          [1, 'uncertain', null, 'bad gateway', false],
          [2, 'accepted', 'task_1', null, false],
        ],
      );
      const told = only(await readEventLog(db, doubt.id));
      assert.deepEqual([told.event, told.detail], ['resolve --task-id', 'task task_1: not in their list']);
    });

    test('has the right id when a late answer brings the same id', async () => {
      const { db } = storage();
      const doubt = await silent(db);
      await resolveAccepted(db, await look(db, rowOf(doubt)), 'task_2', SAID);
      const late = await recordOne(db, doubt.claimed, outcomeOf('accepted', { taskId: 'task_2' }));
      assert.deepEqual([late.state, late.surplus], ['submitted', false]);
      assert.equal(await countSurplus(db, doubt.made.id), 0);
    });

    test('keeps both ids when a late answer brings another id', async () => {
      const { db } = storage();
      const doubt = await silent(db);
      await resolveAccepted(db, await look(db, rowOf(doubt)), 'typo', SAID);
      const late = await recordOne(db, doubt.claimed, outcomeOf('accepted', { taskId: 'true' }));
      assert.deepEqual([late.state, late.surplus], ['submitted', true]);
    });

    test('cannot have the id of another row of this provider', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2 });
      const [one, two] = await claimAll(db, made, made.rows);
      assert.ok(one !== undefined && two !== undefined);
      await recordOne(db, one, outcomeOf('accepted', { taskId: 'mine' }));
      await recordOne(db, two, 'uncertain');
      const seen = await look(db, { batchId: made.id, submissionId: two.submissionId });
      assert.deepEqual(await resolveAccepted(db, seen, 'mine', SAID), {
        kind: 'taken',
        batch: made.name,
        key: 'k1',
      });
      assert.deepEqual(await statesOf(db, made), ['submitted', 'uncertain']);
      assert.deepEqual(await readEventLog(db, two.submissionId), []);
      assert.equal((await readAttempts(db, two.submissionId)).length, 1);
      // Task ids of another provider mean something else.
      const elsewhere = await unclear(db);
      const there = await look(db, rowOf(elsewhere));
      assert.equal((await resolveAccepted(db, there, 'mine', SAID)).kind, 'submitted');
    });
  });

  test('a row that is abandoned stays so, and a late task id is still kept', async () => {
    const { db } = storage();
    const doubt = await silent(db);
    assert.deepEqual(await resolveAbandon(db, await look(db, rowOf(doubt)), SAID), { ...NONE, abandoned: 1 });
    assert.equal((await storedOne(db, doubt.id)).state, 'abandoned');
    assert.equal(only(await readEventLog(db, doubt.id)).event, 'resolve --abandon');
    const late = await recordOne(db, doubt.claimed, outcomeOf('accepted', { taskId: 'late' }));
    assert.equal(late.state, 'submitted');
  });

  describe('a row that moved since a person looked is left as it is', () => {
    for (const [name, resolve] of Object.entries(WORDS)) {
      test(`${name}: a late answer had come`, async () => {
        const { db } = storage();
        const doubt = await silent(db);
        const seen = await look(db, rowOf(doubt));
        await recordOne(db, doubt.claimed, outcomeOf('accepted', { taskId: 'late' }));
        assert.deepEqual(await resolve(db, seen, SAID), name === 'found' ? { kind: 'moved' } : NONE);
        const row = await storedOne(db, doubt.id);
        assert.deepEqual([row.state, row.task_id], ['submitted', 'late']);
        assert.deepEqual(await readEventLog(db, doubt.id), []);
      });

      test(`${name}: it was sent again and is uncertain for another reason`, async () => {
        const { db } = storage();
        const doubt = await silent(db);
        const seen = await look(db, rowOf(doubt));
        await resolveNotSent(db, seen, SAID);
        await recordOne(db, await claimFirst(db, doubt.made), 'uncertain');
        await pastDeadline(db, doubt.made);
        assert.deepEqual(await resolve(db, seen, SAID), name === 'found' ? { kind: 'moved' } : NONE);
        assert.equal((await storedOne(db, doubt.id)).state, 'uncertain');
      });

      test(`${name}: the task id of an answer that comes in the same moment is kept in both orders`, async () => {
        const { db } = storage();
        const doubt = await silent(db);
        const seen = await look(db, rowOf(doubt));
        const [, late] = await Promise.all([
          resolve(db, seen, SAID),
          recordOne(db, doubt.claimed, outcomeOf('accepted', { taskId: 'late' })),
        ]);
        assert.equal(late.state, 'submitted');
        const ids = (await readAttempts(db, doubt.id)).map(({ taskId }) => taskId);
        assert.ok(ids.includes('late'), JSON.stringify(ids));
      });
    }
  });

  for (const state of ['pending', 'submitting', 'submitted', 'rejected'] as const) {
    test(`a row that is ${state} is not resolved`, async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      const choice = { batchId: made.id, submissionId: only(made.rows) };
      if (state !== 'pending') {
        const claimed = await claimFirst(db, made);
        if (state !== 'submitting')
          await recordOne(db, claimed, state === 'submitted' ? 'accepted' : 'rejected');
      }
      assert.equal((await countChosen(db, choice)).rows, 0);
      const seen = await look(db, choice);
      assert.deepEqual(await resolveNotSent(db, seen, SAID), NONE);
      assert.deepEqual(await resolveAbandon(db, seen, SAID), NONE);
      assert.deepEqual(await resolveAccepted(db, seen, 't', SAID), { kind: 'moved' });
      assert.deepEqual(await statesOf(db, made), [state]);
    });
  }

  describe('many rows', () => {
    /** Four uncertain rows, each for a reason of its own. */
    async function mixed(db: Database): Promise<Made> {
      const made = await makeBatch(db, { rows: 4 });
      const [a, b, c, d] = await claimAll(db, made, made.rows);
      assert.ok(a !== undefined && b !== undefined && c !== undefined && d !== undefined);
      await recordOne(db, a, outcomeOf('uncertain', { code: 'ECONNRESET', phase: 'sent' }));
      await recordOne(db, b, outcomeOf('uncertain', { code: 'BAD_GATEWAY', httpStatus: 502 }));
      await recordOne(db, c, outcomeOf('uncertain', { code: 'BAD_GATEWAY', httpStatus: 504 }));
      await pastDeadline(db, made);
      await sweep(db);
      await db.query('update vidbatch.provider set state = $2 where origin = $1', [made.origin, 'open']);
      return made;
    }

    const filters: Record<string, [filter: Omit<Choice, 'batchId'>, states: string]> = {
      'all of them': [{}, 'xxxx'],
      'by their code': [{ errorCode: 'BAD_GATEWAY' }, '.xx.'],
      'by their HTTP status': [{ httpStatus: 504 }, '..x.'],
      'by how far they came': [{ phase: 'sent' }, 'x...'],
      'of which nothing was heard': [{ phase: 'none' }, '...x'],
      'by a filter that finds none': [{ errorCode: 'BAD_GATEWAY', phase: 'sent' }, '....'],
      'by the time of their claim': [{ before: new Date(0) }, '....'],
      'since some time': [{ after: new Date(0), errorCode: 'NO_ANSWER_RECORDED' }, '...x'],
    };
    for (const [name, [filter, expected]] of Object.entries(filters)) {
      test(`are chosen ${name}, counted, and moved; the others stay`, async () => {
        const { db } = storage();
        const made = await mixed(db);
        const chosen = expected.split('').filter((one) => one === 'x').length;
        const seen = await look(db, { ...filter, batchId: made.id });
        assert.equal((await countChosen(db, seen)).rows, chosen);
        assert.deepEqual(await resolveAbandon(db, seen, SAID), { ...NONE, abandoned: chosen });
        assert.deepEqual(
          await statesOf(db, made),
          expected.split('').map((one) => (one === 'x' ? 'abandoned' : 'uncertain')),
        );
        const trails = await Promise.all(made.rows.map((id) => readEventLog(db, id)));
        assert.deepEqual(
          trails.map(({ length }) => length),
          expected.split('').map((one) => (one === 'x' ? 1 : 0)),
        );
      });
    }

    test('are listed with their evidence, page by page', async () => {
      const { db } = storage();
      const made = await mixed(db);
      for (const pageSize of [1, 2, 3, 50]) {
        const rows = await list(db, made, pageSize);
        assert.deepEqual(
          rows.map(({ key, kind, attempt }) => [
            key,
            kind,
            attempt?.code,
            attempt?.phase,
            attempt?.httpStatus,
          ]),
          [
            ['k1', 'uncertain', 'ECONNRESET', 'sent', null],
            ['k2', 'uncertain', 'BAD_GATEWAY', 'answered', 502],
            ['k3', 'uncertain', 'BAD_GATEWAY', 'answered', 504],
            ['k4', 'uncertain', 'NO_ANSWER_RECORDED', 'none', null],
          ],
        );
        assert.ok(rows.every(({ attempt }) => attempt?.deadlinePassed === true));
      }
    });

    test('are grouped by what happened to them, each group with the choice that names exactly its rows', async () => {
      const { db } = storage();
      const made = await mixed(db);
      await db.query(
        `update vidbatch.row_state set price = 2.5, currency = 'CNY' where batch_id = $1 and id <> $2`,
        [made.id, made.rows[0]],
      );
      // Beside a code, its group without one: a filter by the status alone would choose both.
      await db.query(
        `update vidbatch.attempt set error_code = null, http_status = 502 where submission_id = $1`,
        [made.rows[0]],
      );
      const { groups, rows, groupCount } = await groupUncertain(db, made.id, 3);
      assert.deepEqual([groups.length, rows, groupCount], [3, 4, 4]);
      const all = (await groupUncertain(db, made.id, 10)).groups;
      assert.deepEqual(
        all.map(({ code, httpStatus, phase, rows: n, atRisk, waiting }) => [
          code,
          httpStatus,
          phase,
          n,
          atRisk.map(formatMoney).join(),
          waiting,
        ]),
        [
          ['BAD_GATEWAY', 502, 'answered', 1, '2.50 CNY', 0],
          ['BAD_GATEWAY', 504, 'answered', 1, '2.50 CNY', 0],
          ['NO_ANSWER_RECORDED', null, 'none', 1, '2.50 CNY', 0],
          [null, 502, 'sent', 1, '', 0],
        ],
      );
      const keys: string[][] = [];
      for (const { code, httpStatus, phase } of all) {
        const choice = { batchId: made.id, errorCode: code, httpStatus, phase };
        const listed = await listUncertain(db, choice, { start: 0, limit: 10 });
        keys.push(listed.map(({ key }) => key));
        assert.deepEqual(await listUncertain(db, choice, { start: 1, limit: 10 }), []);
      }
      assert.deepEqual(keys, [['k2'], ['k3'], ['k4'], ['k1']]);
    });
  });

  test('a row whose deadline passes while a person is asked is not settled with the rows that they agreed to', async () => {
    const { db } = storage();
    const doubt = await unclear(db);
    const { asOf } = await countChosen(db, rowOf(doubt));
    await db.query(
      `update vidbatch.attempt set deadline = $2::timestamptz + interval '1 microsecond' where submission_id = $1`,
      [doubt.id, asOf],
    );
    // The clock of some databases counts milliseconds, so the deadline may not be over at once.
    await until(async () => (await countChosen(db, rowOf(doubt))).waiting === 0);
    const seen = { ...rowOf(doubt), asOf };
    assert.deepEqual(await resolveNotSent(db, { ...seen, readyAt: asOf }, SAID), NONE);
    assert.deepEqual(await resolveNotSent(db, seen, SAID), { ...NONE, pending: 1 });
  });

  test('the evidence of a row has its headers, the beginning of its body, and the exact request', async () => {
    const { db } = storage();
    const doubt = await unclear(db, {
      httpStatus: 502,
      headers: { server: 'nginx' },
      requestId: 'cf-ray=1',
      body: 'x'.repeat(5000),
    });
    const row = only(await list(db, doubt.made));
    assert.deepEqual(
      [row.attempt?.headers, row.attempt?.requestId, row.attempt?.deadlinePassed, row.attempt?.bodyLength],
      [{ server: 'nginx' }, 'cf-ray=1', false, 5000],
    );
    assert.equal(row.attempt?.body, 'x'.repeat(2000));
    assert.equal(row.request, doubt.claimed.request);
  });
});
