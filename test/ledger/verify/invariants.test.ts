import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { transaction, type Queryable } from '../../../src/database/database.ts';
import { HELD } from '../../../src/ledger/money/budget.ts';
import { INVARIANTS, readSlices, CONTENT_RULES } from '../../../src/ledger/verify/walk.ts';
import type { Finding } from '../../../src/ledger/verify/invariant.ts';
import { confirmed, inspectLedger } from '../../../src/operate/verify/verify.ts';
import { makeHistory, type History } from '../../contract/history.ts';
import { SQL_LEDGERS, openStorage, type Storage } from '../../contract/storages.ts';

const BATCH = '(select batch_id from vidbatch.submission where id = :waiting)';
const ONE_EACH = `update vidbatch.row_state set price = 1, currency = 'CNY' where batch_id = ${BATCH}`;
const budgeted = (budget: string, held: string): string =>
  `update vidbatch.batch b set budget = ${budget}, budget_currency = 'CNY', held = ${held} where b.id = ${BATCH}`;

/**
 * For each invariant, statements after which it does not hold. `:accepted` and the like are rows of the history.
 */
const DAMAGE: Record<string, string[]> = {
  'paid-once': [
    'update vidbatch.row_state set attempts = attempts + 1 where id = :accepted',
    copyOfAttempt(':accepted', { number: 'number + 1', task_id: `'task_second'`, surplus: 'true' }),
  ],
  'rows-counted': [
    `insert into vidbatch.row_count (batch_id, state, doubtful, stored, rows) values (${BATCH}, 'pending', false, false, 1)`,
  ],
  'bills-summed': [`insert into vidbatch.bill_sum values (${BATCH}, null, 'CNY', now(), 1)`],
  'call-timed': [
    `update vidbatch.row_state set called_at = called_at - interval '1 day' where id = :accepted`,
  ],
  'video-stored': ['update vidbatch.row_state set stored = true where id = :completed'],
  'budget-counted': [ONE_EACH, budgeted('1000', '7')],
  'budget-priced': [budgeted('1000', '0')],
  'budget-kept': [ONE_EACH, budgeted('0', HELD)],
  'task-id-kept': [
    'delete from vidbatch.task where submission_id = :surplus and surplus',
    'update vidbatch.attempt set surplus = false where submission_id = :surplus and surplus',
  ],
  'submitted-accepted': [
    `update vidbatch.attempt set outcome = 'rejected', task_id = null where submission_id = :accepted`,
  ],
  'task-id-once': [
    `update vidbatch.attempt set task_id = 'task_one' where submission_id in (:accepted, :completed)`,
    `update vidbatch.task set task_id = 'task_one' where submission_id in (:accepted, :completed)`,
    `update vidbatch.row_state set task_id = 'task_one' where id in (:accepted, :completed)`,
  ],
  'unknown-kept': [
    `update vidbatch.row_state set previous = 'uncertain', state = 'pending' where id = :uncertain`,
  ],
  'unknown-not-resent': ['delete from vidbatch.event_log where submission_id = :resent'],
  'unknown-not-resent, without the key': [
    'update vidbatch.attempt set same_key = false where submission_id = :sameKey',
  ],
  'unknown-kept, by the key alone': ['update vidbatch.row_state set doubtful = false where id = :doubtful'],
  'doubt-has-reason': ['update vidbatch.row_state set doubtful = true where id = :waiting'],
  'orphan-adopted': [
    `insert into vidbatch.unmatched_attempt (attempt_id, batch, row_key, number, epoch, worker, origin, intended_at)
     values (gen_random_uuid(), 'gone', 'k1', 1, 0, 'w1', 'https://a.example', now())`,
  ],
  'attempt-of-row': [copyOfAttempt(':accepted', { submission_id: '999999', task_id: `'task_lost'` })],
  'attempts-counted': ['update vidbatch.row_state set attempts = attempts + 1 where id = :accepted'],
  'attempts-spent': ['update vidbatch.row_state set spent = attempts + 1 where id = :accepted'],
  'attempt-number-once': [copyOfAttempt(':accepted', { outcome: `'throttled'`, task_id: 'null' })],
  'attempt-current': ['update vidbatch.row_state set attempt_id = null where id = :rejected'],
  'submitting-in-flight': ['update vidbatch.attempt set swept_at = now() where submission_id = :inFlight'],
  'in-flight-watched': [
    'update vidbatch.attempt set outcome = null, finished_at = null where submission_id = :throttled',
  ],
  'uncertain-unknown': [`update vidbatch.attempt set outcome = 'throttled' where submission_id = :uncertain`],
  'ended-by-answer': [`update vidbatch.attempt set outcome = 'throttled' where submission_id = :rejected`],
  'tried-is-counted': [
    `update vidbatch.row_state set previous = 'pending', state = 'uncertain' where id = :waiting`,
  ],
  'task-status': [`update vidbatch.row_state set provider_status = 'queued' where id = :waiting`],
  'task-of-row': [
    `update vidbatch.task set task_id = task_id || 'x' where submission_id = :accepted`,
    'update vidbatch.row_state set polled_at = null where id = :accepted',
  ],
  'task-agrees': [`update vidbatch.row_state set provider_status = 'failed' where id = :completed`],
  'task-agrees, though nothing is remembered': ['delete from vidbatch.task where submission_id = :completed'],
  'task-missing': [
    `update vidbatch.row_state set provider_status = 'missing' where id = :accepted`,
    `update vidbatch.task set status = 'missing' where submission_id = :accepted`,
  ],
  'task-otherwise': [
    `update vidbatch.task set later_status = 'failed', later_at = now() where submission_id = :completed`,
  ],
  'deadline-of-submitting': ['update vidbatch.row_state set deadline = now() where id = :accepted'],
  'deadline-judged': [
    `update vidbatch.row_state set deadline = now() - interval '2 minutes' where id = :inFlight`,
  ],
  'content-of-state': [`update vidbatch.row_state set content_hash = 'x' where id = :waiting`],
  'request-of-sendable': ['update vidbatch.row set request = null where id = :waiting'],
  'key-of-content': [
    `update vidbatch.row r set request = o.request, content_hash = o.content_hash
       from vidbatch.row o where r.id = :unnamed and o.id = :rejected`,
    `update vidbatch.row_state s set content_hash = o.content_hash
       from vidbatch.row_state o where s.id = :unnamed and o.id = :rejected`,
  ],
  'canary-in-flight': ['update vidbatch.batch set canary = gen_random_uuid() where canary is not null'],
  'probe-in-flight': ['update vidbatch.provider set probe = gen_random_uuid() where probe is not null'],
  'halt-told': ['update vidbatch.halt set lifted_at = now()'],
  'provider-known': [
    `update vidbatch.attempt set origin = 'https://nowhere.example' where submission_id = :accepted`,
  ],
  'cancelled-rests': [
    `update vidbatch.batch set state = 'cancelled'
      where id = (select batch_id from vidbatch.submission where id = :waiting)`,
  ],
  'zone-known': [
    `with moved as (
       insert into vidbatch.window (text) values ('w') returning id
     ), hours as (
       insert into vidbatch.window_hours (window_id, number, zone, days, opens, closes, except_on)
       select id, 1, 'Mars/Phobos', '{1}', '1 hour', '2 hours', '{}' from moved
     ) update vidbatch.meta set offpeak_window_id = (select id from moved)`,
  ],
  'import-ended': [
    `insert into vidbatch.import (id, seen_at) values (gen_random_uuid(), now() - interval '1 hour')`,
  ],
  'input-json': [`update vidbatch.row set input = '{' where id = :waiting`],
  'request-json': [`update vidbatch.row set request = '[1]' where id = :waiting`],
  'content-hash': [
    `update vidbatch.row set request = request || ' ', content_hash = 'x' where id = :waiting`,
    `update vidbatch.row_state set content_hash = 'x' where id = :waiting`,
  ],
};

/** `name, in some other way` */
function nameOf(damage: string): string {
  return damage.split(',')[0] ?? '';
}

/** Another attempt like that of the row, with other values. */
function copyOfAttempt(row: string, values: Record<string, string>): string {
  const columns = [
    'submission_id',
    'number',
    'worker',
    'origin',
    'epoch',
    'deadline',
    'finished_at',
    'outcome',
  ];
  const names = [...new Set([...columns, ...Object.keys(values)])];
  return `insert into vidbatch.attempt (id, ${names.join(', ')})
    select gen_random_uuid(), ${names.map((name) => values[name] ?? name).join(', ')}
      from vidbatch.attempt where submission_id = ${row}`;
}

async function findings(
  db: Queryable,
  pause = (): Promise<unknown> => Promise.resolve(),
): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const one of confirmed(inspectLedger(db, null), pause)) found.push(one);
  return found;
}

test('every invariant has a damage, and every damage an invariant', () => {
  const names = [...INVARIANTS, ...Object.values(CONTENT_RULES)].map(({ name }) => name);
  assert.deepEqual([...new Set(Object.keys(DAMAGE).map(nameOf))].toSorted(), names.toSorted());
});

for (const kind of SQL_LEDGERS) {
  describe(`on ${kind}, the invariants of a ledger`, () => {
    let storage: Storage;
    let history: History;
    before(async () => {
      storage = await openStorage(kind);
      history = await makeHistory(storage.db);
    });
    after(() => storage.close());

    /** What is found after these statements, beyond what was found before; then they are undone. */
    async function foundAfter(
      statements: readonly string[],
      pause?: () => Promise<unknown>,
    ): Promise<Finding[]> {
      const places: Record<string, number> = { ...history.rows, ...history.others };
      const undo = new Error('undo');
      let found: Finding[] = [];
      await assert.rejects(
        transaction(storage.db, async (session) => {
          for (const statement of statements) {
            await session.query(
              statement.replaceAll(/(?<!:):(\w+)/g, (_, name: string) => String(places[name])),
            );
          }
          found = await findings(session, pause);
          throw undo;
        }),
        undo,
      );
      return found.filter(({ what }) => !what.startsWith('was paid twice') || what.includes('task_second'));
    }

    test('hold after everything that can happen to rows; a row that was paid twice is named', async () => {
      const found = await findings(storage.db);
      assert.deepEqual(
        found.map(({ invariant, severity, batch, key }) => ({ invariant, severity, batch, key })),
        [{ invariant: 'paid-once', severity: 'risk', batch: history.batch.name, key: 'k11' }],
      );
    });

    test('are checked in slices that leave no gap', async () => {
      const walked = [];
      for await (const slice of readSlices(storage.db, null, 7)) walked.push(slice);
      const { rows } = await storage.db.query<{ n: number }>(
        'select count(*)::int as n from vidbatch.submission',
      );
      assert.equal(
        walked.reduce((sum, slice) => sum + slice.rows, 0),
        rows[0]?.n,
      );
      assert.deepEqual(
        walked.map(({ after }) => after),
        [0, ...walked.slice(0, -1).map(({ last }) => last)],
      );
      assert.equal(walked.at(-1)?.last, Number.MAX_SAFE_INTEGER);
    });

    for (const [name, statements] of Object.entries(DAMAGE)) {
      test(`${name} is reported, and nothing else`, async () => {
        const found = await foundAfter(statements);
        const told = new Set(found.map(({ invariant }) => invariant));
        assert.deepEqual([...told], [nameOf(name)], JSON.stringify(found));
      });
    }
  });
}
