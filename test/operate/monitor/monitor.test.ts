import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { countStates } from '../../../src/ledger/batches.ts';
import { readOldestPending } from '../../../src/ledger/read/backlog.ts';
import { readTrouble } from '../../../src/ledger/read/trouble.ts';
import { startMonitor, type Monitor } from '../../../src/operate/monitor/monitor.ts';
import { claimAll, makeBatch, outcomeOf, recordOne } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery, openStorage, type Storage } from '../../contract/storages.ts';
import { createDatabase, startServer, type OwnServer } from '../../servers.ts';
import { until } from '../../until.ts';
import { parseExposition, type Family } from './exposition.ts';

const HERE = { host: '127.0.0.1', port: 0 };
/** As a worker that does its work. */
const WORKER = { inFlight: () => 3, feederIdleMs: () => 5, journal: () => ({ bytes: 4096, full: false }) };

interface Told {
  status: number;
  body: { alive?: boolean; ready?: boolean; reasons?: string[] };
}

async function ask({ url }: Pick<Monitor, 'url'>, path: string): Promise<Told> {
  const response = await fetch(url + path);
  return { status: response.status, body: (await response.json()) as Told['body'] };
}

async function scrape({ url }: Pick<Monitor, 'url'>): Promise<Map<string, Family>> {
  const response = await fetch(`${url}/metrics`);
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  return parseExposition(await response.text());
}

function valueOf(families: Map<string, Family>, name: string, labels: Record<string, string> = {}): number {
  const sample = families
    .get(name)
    ?.samples.find((one) => Object.entries(labels).every(([key, value]) => one.labels[key] === value));
  return sample?.value ?? assert.fail(`no ${name} ${JSON.stringify(labels)}`);
}

describe('a monitor', () => {
  let redis: OwnServer;
  let postgres: OwnServer;
  let storage: Storage;
  let monitor: Monitor;

  before(async () => {
    [redis, postgres] = await Promise.all([startServer('redis'), startServer('postgres')]);
    const database = await createDatabase({ databaseUrl: postgres.url });
    storage = await openStorage('redis+postgres', { redisUrl: redis.url, databaseUrl: database.url });
    monitor = await startMonitor(storage, HERE, { stuckMs: 50 });
  });
  after(async () => {
    await monitor.close();
    await storage.close();
    await Promise.all([redis.stop(), postgres.stop()]);
  });

  it('is alive before it is ready', async () => {
    assert.deepEqual(await ask(monitor, '/healthz'), { status: 200, body: { alive: true } });
    assert.deepEqual(await ask(monitor, '/readyz'), {
      status: 503,
      body: { ready: false, reasons: ['worker: starting'] },
    });
    monitor.watch(WORKER);
    assert.deepEqual(await ask(monitor, '/readyz'), { status: 200, body: { ready: true } });
  });

  it('counts what the worker reports, in a form that Prometheus reads', async () => {
    const made = await makeBatch(storage.db, { rows: 4, price: 2.5 });
    const claims = await claimAll(storage.db, made, made.rows.slice(0, 2));
    const [first, second] = claims;
    assert.ok(first !== undefined && second !== undefined);
    const accepted = outcomeOf('accepted');
    const recorded = await recordOne(storage.db, first, accepted);
    await recordOne(storage.db, second, outcomeOf('uncertain'));
    monitor.metrics.onExchange(accepted, 1234);
    monitor.metrics.onVerdict({ kind: 'settled', claim: first, outcome: accepted, recorded, waitMs: 0 });
    const blocked = { reason: 'throttled', waitMs: 2000 } as const;
    for (let n = 0; n < 2; n += 1) monitor.metrics.onVerdict({ kind: 'blocked', batchId: made.id, blocked });
    let families = await scrape(monitor);
    await until(async () => {
      families = await scrape(monitor);
      return ['vidbatch_rows', 'vidbatch_queue_jobs', 'vidbatch_spent'].every((name) => families.has(name));
    });
    assert.deepEqual(
      (['pending', 'submitted', 'uncertain', 'rejected'] as const).map((state) =>
        valueOf(families, 'vidbatch_rows', { state }),
      ),
      [2, 1, 1, 0],
    );
    assert.equal(valueOf(families, 'vidbatch_attempts_total', { outcome: 'accepted' }), 1);
    assert.equal(valueOf(families, 'vidbatch_claims_refused_total', { reason: 'throttled' }), 2);
    const waited = valueOf(families, 'vidbatch_throttled_seconds_total');
    assert.ok(waited >= 2 && waited < 3, `waits that overlap count once: ${waited}`);
    const latency = families.get('vidbatch_provider_request_duration_seconds');
    assert.equal(latency?.type, 'histogram');
    const sum = latency.samples.find(
      ({ name, labels }) => name.endsWith('_sum') && labels['outcome'] === 'accepted',
    );
    assert.equal(sum?.value, 1.234);
    assert.equal(valueOf(families, 'vidbatch_in_flight_rows'), 3);
    assert.equal(valueOf(families, 'vidbatch_journal_bytes'), 4096);
    assert.equal(valueOf(families, 'vidbatch_uncertain_rows'), 1);
    assert.equal(valueOf(families, 'vidbatch_spent', { currency: 'CNY', model: 'viduq3p-720p' }), 2.5);
    assert.equal(valueOf(families, 'vidbatch_at_risk', { currency: 'CNY' }), 2.5);
    assert.equal(valueOf(families, 'vidbatch_workers', { state: 'alive' }), 0);
    assert.ok(valueOf(families, 'vidbatch_oldest_pending_age_seconds') > 0);
    assert.equal(valueOf(families, 'vidbatch_queue_jobs', { state: 'waiting' }), 0);
    assert.ok(valueOf(families, 'process_resident_memory_bytes') > 0);
  });

  it('names its metrics as Prometheus’ conventions have it, and says what each is', async () => {
    for (const { name, type, help, samples } of (await scrape(monitor)).values()) {
      if (!name.startsWith('vidbatch_')) continue;
      assert.ok(help.length > 15, name);
      assert.equal(name.endsWith('_total'), type === 'counter', name);
      assert.doesNotMatch(name, /_(ms|millis|minutes|kb|count)$/);
      for (const { labels } of samples) {
        for (const label of Object.keys(labels)) {
          assert.match(label, /^(state|outcome|reason|part|code|version|le|currency|model)$/, name);
        }
      }
    }
  });

  it('is read-only: GET and HEAD', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      assert.equal((await fetch(monitor.url + path, { method: 'HEAD' })).status, 200);
      const written = await fetch(monitor.url + path, { method: 'POST', body: 'x' });
      assert.deepEqual([written.status, written.headers.get('allow')], [405, 'GET, HEAD']);
    }
    assert.equal((await fetch(`${monitor.url}/queues`)).status, 404);
  });

  it('answers to any name: a kubelet asks by address', async () => {
    const { port } = new URL(monitor.url);
    const status = await new Promise((resolve, reject) => {
      request(
        { host: '127.0.0.1', port, path: '/readyz', headers: { host: '10.1.2.3:9090' } },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      )
        .on('error', reject)
        .end();
    });
    assert.equal(status, 200);
  });

  it('holds no secret', async () => {
    const text = await (await fetch(`${monitor.url}/metrics`)).text();
    for (const secret of ['sk-', 'postgres:', 'redis:', storage.ledgerId])
      assert.ok(!text.includes(secret), secret);
  });

  it('says that Redis hangs, in bounded time, and stays alive', async () => {
    process.kill(redis.pid, 'SIGSTOP');
    try {
      const { status, body } = await ask(monitor, '/readyz');
      assert.deepEqual([status, body.reasons], [503, ['queue: no answer within 1.5 s']]);
      assert.equal((await ask(monitor, '/healthz')).status, 200);
      const families = await scrape(monitor);
      assert.equal(valueOf(families, 'vidbatch_up', { part: 'queue' }), 0);
      assert.equal(families.get('vidbatch_queue_jobs'), undefined, 'what cannot be read is left out');
      assert.equal(valueOf(families, 'vidbatch_rows', { state: 'submitted' }), 1);
    } finally {
      process.kill(redis.pid, 'SIGCONT');
    }
    await until(async () => (await ask(monitor, '/readyz')).status === 200);
  });

  it('says that the ledger is away, and stays alive although its feeder is blocked', async () => {
    monitor.watch({ ...WORKER, feederIdleMs: () => 3_600_000 });
    await postgres.kill();
    try {
      const { status, body } = await ask(monitor, '/readyz');
      assert.equal(status, 503);
      assert.match(body.reasons?.join() ?? '', /^ledger: /);
      assert.equal((await ask(monitor, '/healthz')).status, 200);
      const families = await scrape(monitor);
      assert.equal(valueOf(families, 'vidbatch_up', { part: 'ledger' }), 0);
      assert.equal(families.get('vidbatch_rows'), undefined);
      assert.equal(families.get('vidbatch_uncertain_rows'), undefined);
    } finally {
      await postgres.restart();
    }
  });

  it('is not alive when its feeder is blocked although ledger and queue answer', async () => {
    await until(async () => (await ask(monitor, '/healthz')).status === 503);
    const { body } = await ask(monitor, '/healthz');
    assert.match(body.reasons?.join() ?? '', /^feeder: no turn for 3600 s/);
    monitor.watch(WORKER);
    assert.equal((await ask(monitor, '/healthz')).status, 200);
  });

  it('is alive and not ready while it drains', async () => {
    monitor.drain();
    assert.deepEqual((await ask(monitor, '/readyz')).body.reasons, ['worker: draining']);
    assert.equal((await ask(monitor, '/healthz')).status, 200);
    assert.equal(valueOf(await scrape(monitor), 'vidbatch_draining'), 1);
  });
});

onEvery(SQL_LEDGERS, (storage) => {
  it('the ledger says what needs a person, and how long the oldest row has waited', async () => {
    const { db } = storage();
    const nothing = { paidTwice: 0, uncertain: 0, halts: [], stopped: [], spent: [] };
    assert.deepEqual(await readTrouble(db), { ...nothing, failedSchedules: [], unfed: [], untold: [] });
    assert.equal(await readOldestPending(db), 0);
    const made = await makeBatch(db, { rows: 3 });
    await db.query(`update vidbatch.row_state set updated_at = now() - interval '1 hour' where id = $1`, [
      made.rows[0],
    ]);
    const [claim] = await claimAll(db, made, made.rows.slice(2));
    assert.ok(claim !== undefined);
    await recordOne(db, claim, outcomeOf('halted', { code: 'invalid_api_key' }));
    const other = await makeBatch(db, { rows: 1 });
    await db.query(
      `update vidbatch.batch set state = 'stopped', stop_code = 'CANARY_FAILED', stop_reason = 'the first row was rejected' where id = $1`,
      [other.id],
    );
    for (const [name, last] of [
      ['mended', 'made'],
      ['failing', 'failed'],
    ] as const) {
      await db.query(
        `with one as (
           insert into vidbatch.schedule (name, cron, zone, manifest, flags, overlap, missed, jitter_ms, next_at)
           values ($1, '0 1 * * *', 'UTC', 'a.csv', '{}', 'skip', 'once', 0, now()) returning id
         )
         insert into vidbatch.run (schedule_id, tick, batch, due_at, state, batch_id, reason, ended_at)
         select id, now() - n * interval '1 day', $1 || n, now(), state, case state when 'made' then $3::bigint end,
                case state when 'made' then null else 'no manifest' end, now()
           from one cross join (values (0, 'skipped'), (1, $2), (2, 'failed')) r(n, state)`,
        [name, last, other.id],
      );
    }
    const { halts, stopped, failedSchedules } = await readTrouble(db);
    assert.deepEqual(
      stopped.map(({ batch, code }) => [batch, code]),
      [[other.name, 'CANARY_FAILED']],
    );
    assert.deepEqual(
      failedSchedules.map(({ schedule }) => schedule),
      ['failing'],
    );
    const seconds = await readOldestPending(db);
    assert.ok(seconds >= 3600 && seconds < 3660, `${seconds}`);
    assert.deepEqual(
      halts.map(({ code }) => code),
      ['invalid_api_key'],
    );
    assert.equal((await countStates(db, null)).pending, 4);
  });
});
