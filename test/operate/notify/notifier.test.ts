import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { createLog } from '../../../src/core/log.ts';
import { readAttention, type Attention } from '../../../src/operate/attention.ts';
import { readTrouble } from '../../../src/ledger/read/trouble.ts';
import { startNotifier, type Notifier, type NotifierTimes } from '../../../src/operate/notify/notifier.ts';
import { parseTargets } from '../../../src/operate/notify/target.ts';
import { retry } from '../../../src/ledger/operator/retry.ts';
import { claimLocked } from '../../../src/ledger/send/claim.ts';
import { claimAll, makeBatch, outcomeOf, recordOne, scopeOf, wishFor } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';
import { until } from '../../until.ts';
import { startRecorder, type Recorder } from './recorder.ts';

const QUICK: Partial<NotifierTimes> = {
  lookMs: 10,
  mostLookMs: 10,
  settleMs: 0,
  gapMs: 0,
  missingMs: 600_000,
  retryMs: Array<number>(20).fill(1),
};

interface Told {
  version: number;
  id: string;
  event: string;
  text: string;
  data: Record<string, unknown>;
}

describe('notifications', () => {
  let recorder: Recorder;
  let logged = '';
  let number = 0;
  let url = '';
  const log = createLog('debug', { write: (line) => void (logged += line) });
  before(async () => {
    recorder = await startRecorder();
  });
  after(() => recorder.close());
  beforeEach(() => {
    recorder.all.length = 0;
    recorder.answer([]);
    recorder.answer({ status: 200 });
    logged = '';
    number += 1;
    url = `${recorder.url}/tok3n-${number}`;
  });
  const told = (): Told[] => recorder.all.map(({ body }) => JSON.parse(body) as Told);
  const countOf = (event: string): number => recorder.events().filter((one) => one === event).length;

  onEvery(SQL_LEDGERS, (storage) => {
    const watch = (times: Partial<NotifierTimes> = {}, secret = 's3cret'): Promise<Notifier> =>
      startNotifier(storage(), parseTargets([url], { allowHttp: false, secret }), {
        apiKey: 'sk-very-secret',
        log,
        times: { ...QUICK, ...times },
      });
    const send = async (
      made: Awaited<ReturnType<typeof makeBatch>>,
      kind: 'accepted' | 'rejected' | 'uncertain',
    ) => {
      for (const claim of await claimAll(storage().db, made, made.rows))
        await recordOne(storage().db, claim, outcomeOf(kind));
    };

    it('tell of a batch once, however many processes look, and again after it has worked again', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 3, price: 2 });
      const watches = [await watch(), await watch()];
      await send(made, 'rejected');
      await until(() => countOf('batch-done') === 1);
      for (const one of watches) await one.stop();
      await (await watch()).stop();
      assert.equal(countOf('batch-done'), 1, 'a restart tells nothing again');
      assert.match(
        told()[0]?.text ?? '',
        /is done: 3 rows · 0 task ids · 3 rejected · paid twice: none known$/,
      );

      await retry(db, made.id);
      await send(made, 'accepted');
      await (await watch()).stop();
      assert.equal(countOf('batch-done'), 2);
      assert.match(
        told()[1]?.text ?? '',
        /: 3 rows · 3 task ids · paid twice: none known · spent 6\.00 CNY$/,
      );
      assert.deepEqual(told()[1]?.data['spent'], [{ amount: '6', currency: 'CNY' }]);

      await db.query(`update vidbatch.row_state set provider_status = 'completed' where batch_id = $1`, [
        made.id,
      ]);
      await (await watch()).stop();
      await (await watch()).stop();
      assert.deepEqual(recorder.events(), ['batch-done', 'batch-done', 'videos-done']);
      const { rows: early } = await db.query(
        `select from vidbatch.notice where event in ('batch-done', 'videos-done') and message is not null and began_at < ended_at`,
      );
      assert.equal(early.length, 0, 'their time is that of the end');
      assert.match(told()[2]?.text ?? '', /: 3 tasks · 100% settled · 3 completed · 0 failed · 0 open$/);
    });

    it('sign what they send, and contain neither the API key nor a prompt', async () => {
      const made = await makeBatch(storage().db, { rows: 1 });
      await storage().db.query('update vidbatch.batch set name = $2 where id = $1', [
        made.id,
        `sk-very-secret-${made.id}`,
      ]);
      const watching = await watch();
      await send(made, 'accepted');
      await until(() => recorder.all.length > 0);
      await watching.stop();
      for (const { headers, body } of recorder.all) {
        const signed = createHmac('sha256', 's3cret').update(
          `${String(headers['x-vidbatch-timestamp'])}.${body}`,
        );
        assert.equal(headers['x-vidbatch-signature'], `sha256=${signed.digest('hex')}`);
        assert.doesNotMatch(JSON.stringify(headers) + body, /sk-very-secret|第|"prompt"/);
      }
      const stored = await storage().db.query('select * from vidbatch.notice n, vidbatch.notify_target t');
      assert.doesNotMatch(JSON.stringify(stored.rows) + logged, /tok3n|sk-very-secret/);
    });

    it('are tried again after an error, under the same id, and a redirect is an error', async () => {
      recorder.answer([
        { status: 500 },
        { status: 302, location: `${recorder.url}/elsewhere` },
        { status: 429 },
      ]);
      const made = await makeBatch(storage().db, { rows: 1 });
      const watching = await watch();
      await send(made, 'accepted');
      await until(() => recorder.all.length === 4);
      await watching.stop();
      assert.equal(new Set(told().map(({ id }) => id)).size, 1);
      assert.ok(
        recorder.all.every(({ path }) => path.includes('tok3n')),
        'no redirect was followed',
      );
      assert.match(
        logged,
        /"event":"not-notified","target":"json at http:\/\/127\.0\.0\.1:\d+".*"reason":"HTTP 500"/,
      );
    });

    it('survive the process that found them, and are given up after the last try', async () => {
      recorder.answer({ status: 500 });
      const made = await makeBatch(storage().db, { rows: 1 });
      const first = await watch({ retryMs: [1] });
      await send(made, 'accepted');
      await until(() => recorder.all.length >= 1);
      await first.stop();
      recorder.answer({ status: 200 });
      const next = await watch({ retryMs: [1] });
      await until(async () => {
        const { rows } = await storage().db.query<{ open: boolean }>(
          `select exists (select from vidbatch.notice where next_at is not null) as open`,
        );
        return rows[0]?.open === false;
      });
      await next.stop();
      assert.deepEqual(recorder.events(), ['batch-done', 'batch-done']);
      assert.equal(new Set(told().map(({ id }) => id)).size, 1);
    });

    it('that are given up need attention, with the cause and without the URL, until a later one arrives', async () => {
      const { db } = storage();
      const untold = async (): Promise<Attention[]> =>
        (await readAttention(db)).filter(({ kind }) => kind === 'not-notified');
      // Those of the other tests are no news after days.
      await db.query(`update vidbatch.notice set given_up_at = given_up_at - interval '4 days'`);
      assert.deepEqual(await untold(), []);
      recorder.answer({ status: 404 });
      const watching = await watch({ retryMs: [1] });
      await send(await makeBatch(db, { rows: 1 }), 'accepted');
      await until(async () => (await untold()).length > 0);
      const [one, ...others] = await untold();
      assert.equal(others.length, 0);
      assert.match(
        one?.what ?? '',
        /^1 notification to json at http:\/\/127\.0\.0\.1:\d+ was given up, the last \ds ago: HTTP 404; not told: batch-done\. Correct the URL/,
      );
      assert.equal(one?.command, 'vidbatch notify test');
      assert.doesNotMatch(JSON.stringify(one), /tok3n|s3cret/);
      assert.equal((await readTrouble(db)).untold.length, 1);
      assert.equal(recorder.all.length, 2, 'it is not tried again');
      recorder.answer({ status: 200 });
      await send(await makeBatch(db, { rows: 1 }), 'accepted');
      await until(async () => (await untold()).length === 0);
      await watching.stop();
      assert.equal((await readTrouble(db)).untold.length, 0);
    });

    it('tell of uncertain rows in one message, and of later ones in another', async () => {
      const made = await makeBatch(storage().db, { rows: 3 });
      const later = await makeBatch(storage().db, { rows: 1 });
      // Each looks at its start, while a row is recorded after another: they start when all rows are.
      await send(made, 'uncertain');
      await (await watch({ lookMs: 600_000, mostLookMs: 600_000 })).stop();
      await send(later, 'uncertain');
      await (await watch({ lookMs: 600_000, mostLookMs: 600_000 })).stop();
      const uncertain = told().filter(({ event }) => event === 'rows-uncertain');
      assert.deepEqual(
        uncertain.map(({ data }) => (data['batches'] as { batch: string; rows: number }[]).at(-1)),
        [
          { batch: made.name, rows: 3, keys: ['k1', 'k2', 'k3'] },
          { batch: later.name, rows: 1, keys: ['k1'] },
        ],
      );
    });

    it('tell of a halt once while it lasts, of a missing worker, a stopped batch and a failed schedule', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 1 });
      const halted = await makeBatch(db, { rows: 1 });
      const stopped = await makeBatch(db, { rows: 1 });
      await db.query(
        `insert into vidbatch.halt (origin, code, reason, http_status) values ($1, 'invalid_api_key', 'Invalid key sk-very-secret', 401)`,
        [halted.origin],
      );
      await db.query(`update vidbatch.provider set state = 'halted' where origin = $1`, [halted.origin]);
      await db.query(
        `update vidbatch.batch set state = 'stopped', stop_code = 'FAIL_SHARE', stop_reason = 'x' where id = $1`,
        [stopped.id],
      );
      await db.query(
        `with made as (insert into vidbatch.schedule (name, cron, zone, manifest, flags, overlap, missed, jitter_ms, next_at)
           values ($1, '* * * * *', 'UTC', '/x.csv', '{}', 'skip', 'skip', 0, now()) returning id)
         insert into vidbatch.run (schedule_id, tick, batch, due_at, state, code, reason, ended_at)
         select id, now(), 'x', now(), 'failed', 'NO_SUCH_FILE', 'gone', now() from made`,
        [`nightly-${made.id}`],
      );
      const watching = await watch({ missingMs: 0 });
      await until(() => countOf('no-worker') > 0);
      await watching.stop();
      const again = await watch({ missingMs: 0 });
      await again.stop();
      // Of the rows of other tests.
      const events = recorder
        .events()
        .filter((event) => event !== 'rows-uncertain')
        .toSorted();
      assert.deepEqual(events, ['batch-stopped', 'no-worker', 'provider-halted', 'schedule-failed']);
      assert.deepEqual(told().find(({ event }) => event === 'provider-halted')?.data['httpStatus'], 401);
      assert.match(told().find(({ event }) => event === 'no-worker')?.text ?? '', new RegExp(made.name));
      await db.query(`update vidbatch.halt set lifted_at = now()`);
      await db.query(`update vidbatch.batch set state = 'cancelled'`);
      await db.query(`delete from vidbatch.schedule`);
    });

    it('tell of a budget that is used up, once nothing in flight can give money back', async () => {
      const { db } = storage();
      const made = await makeBatch(db, { rows: 2, price: 2, budget: 3 });
      const watching = await watch();
      const { claims } = await claimLocked(db, scopeOf(made), wishFor(made.id, 2));
      await watching.stop();
      assert.equal(countOf('budget-used-up'), 0);
      for (const claim of claims) await recordOne(db, claim, outcomeOf('accepted'));
      await db.query(`update vidbatch.batch set state = 'paused' where id = $1`, [made.id]);
      await (await watch()).stop();
      assert.equal(countOf('budget-used-up'), 0, 'a person paused the batch');
      await db.query(`update vidbatch.batch set state = 'active' where id = $1`, [made.id]);
      await (await watch()).stop();
      const [budget] = told().filter(({ event }) => event === 'budget-used-up');
      assert.match(budget?.text ?? '', /the budget of batch \S+, 3\.00 CNY, is used up: 1 row is not sent$/);
      await db.query(`update vidbatch.batch set state = 'cancelled' where id = $1`, [made.id]);
    });
  });
});
