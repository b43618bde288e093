import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { transaction, type Database } from '../../../src/database/database.ts';
import { closeLedger, readClosed, reopenLedger, requireOpen } from '../../../src/ledger/closed.ts';
import { closeSource } from '../../../src/ledger/copy/close-source.ts';
import { fillLedger } from '../../../src/ledger/copy/fill.ts';
import { withSnapshot, type LedgerSource } from '../../../src/ledger/copy/snapshot.ts';
import {
  readSequences,
  readTables,
  sumTable,
  TEXT_SETTINGS,
  writtenColumns,
  type Cells,
  type Table,
} from '../../../src/ledger/copy/tables.ts';
import { sweep } from '../../../src/ledger/send/sweep.ts';
import { readLedgerId } from '../../../src/ledger/read/rows.ts';
import { replayJournals } from '../../../src/worker/journal/replay.ts';
import { makeHistory } from '../../contract/history.ts';
import { outcomeOf, storedOne } from '../../contract/rows.ts';
import { until } from '../../until.ts';
import { openStorage, type Storage } from '../../contract/storages.ts';

/** Values whose text is easily read wrong, and a row in tables that the history leaves empty. */
const ODD = `
  insert into vidbatch.window (text) values ('23:00-07:00 Asia/Shanghai'), (E'a,b {"c"} \\\\ ''d'' \\n 画🎬');
  insert into vidbatch.window_hours values (1, 1, 'Asia/Shanghai', '{1,7}', '23:00', '31:00', '{2026-02-28,infinity}');
  update vidbatch.meta set offpeak_window_id = 1, paused_at = '2026-01-31 12:00:00.123456+08';
  insert into vidbatch.schedule (name, cron, zone, manifest, flags, overlap, missed, jitter_ms, next_at)
    values ('n', '0 3 * * *', 'Europe/Paris', '/a', '{"a":  1.50}', 'skip', 'once', 0, '1999-12-31 23:59:59.999999Z');
  insert into vidbatch.run (schedule_id, tick, batch, due_at, without) values (1, now(), 'b', now(), '{a,"b c","NULL",""}');
  insert into vidbatch.worker (id, host, pid, version, origin, batches, concurrency, limits, per_second)
    select 'w', '', 1, '0', origin, '{1,2}', 1, '[{"model": "", "intervalMs": 1e3}]', 0.1 + 0.2 from vidbatch.provider limit 1;
  insert into vidbatch.quota (origin, model, interval_ms, auto) select origin, '', 0.1 + 0.2::float8, '{}' from vidbatch.provider limit 1;
  update vidbatch.batch set budget = 10.50, budget_currency = 'CNY', held = 0.000 where id = 1;
  insert into vidbatch.event_log (event, detail, who) values ('e', '', null), ('e', 'null', '');
  insert into vidbatch.journal (name, bytes) values ('a.jsonl', 9007199254740993)`;

/** The ledger of a storage becomes an incomplete one, as the copy command makes it. */
async function emptied(db: Database, ledgerId: string): Promise<void> {
  await transaction(db, async (session) => {
    await session.query('update vidbatch.meta set ledger_id = $1', [ledgerId]);
    await closeLedger(session, { code: 'incomplete', note: 'a test' }, 'a test');
    await session.query('delete from vidbatch.event_log; delete from vidbatch.feeder');
  });
}

async function stateOf(db: Database): Promise<unknown> {
  return transaction(db, async (session) => {
    await session.query(TEXT_SETTINGS);
    const sums = [];
    // The copy adds an event, and knows that no worker works on it yet.
    for (const table of await readTables(session)) {
      if (!['event_log', 'feeder', 'worker'].includes(table.name))
        sums.push([table.name, await sumTable(session, table)]);
    }
    return {
      sums,
      sequences: (await readSequences(session)).filter(({ name }) => !name.startsWith('event_log')),
    };
  });
}

const OPTIONS = { from: 'a test', who: 'a test' };

/** A source whose rows of one table are changed on the way. */
function spoilt(
  source: LedgerSource,
  name: string,
  spoil: (rows: Cells[], table: Table) => Cells[],
): LedgerSource {
  return {
    ...source,
    async *tables() {
      for await (const one of source.tables()) {
        const rows = async function* (): AsyncGenerator<Cells[]> {
          for await (const chunk of one.rows()) yield spoil(chunk, one.table);
        };
        yield one.table.name === name ? { ...one, rows } : one;
      }
    },
  };
}

describe('a copy of a ledger', () => {
  const storages = new Map<string, Storage>();
  before(async () => {
    for (const kind of ['embedded', 'postgres', 'embedded again']) {
      storages.set(kind, await openStorage(kind === 'postgres' ? kind : 'embedded'));
    }
    const from = of('embedded');
    await makeHistory(from);
    await from.query(ODD);
    for (const kind of ['postgres', 'embedded again']) await emptied(of(kind), await readLedgerId(from));
  });
  after(() => Promise.all([...storages.values()].map((storage) => storage.close())));
  const of = (kind: string): Database => storages.get(kind)?.db ?? assert.fail(kind);

  const spoils: [what: string, table: string, spoil: Parameters<typeof spoilt>[2]][] = [
    ['a row that is missing', 'attempt', (rows) => rows.slice(1)],
    [
      'a text that became empty',
      'event_log',
      (rows, table) => {
        const at = writtenColumns(table).findIndex(({ name }) => name === 'who');
        return rows.map((row) => row.map((value, n) => (n === at ? null : value)));
      },
    ],
    [
      'a number that was rounded',
      'journal',
      (rows) =>
        rows.map((row) => row.map((value) => value?.replace('9007199254740993', '9007199254740992') ?? null)),
    ],
  ];
  for (const [what, table, spoil] of spoils) {
    it(`finds ${what}, names the table, and stays empty and incomplete`, async () => {
      const to = of('postgres');
      const before = await stateOf(to);
      await assert.rejects(
        withSnapshot(of('embedded'), (source) => fillLedger(to, spoilt(source, table, spoil), OPTIONS)),
        { code: 'COPY_DIFFERS', message: new RegExp(`^table ${table} of the copy is not the same`) },
      );
      assert.equal((await readClosed(to))?.code, 'incomplete');
      assert.deepEqual(await stateOf(to), before);
    });
  }

  it('has every value of every table and every sequence, to a server and back', async () => {
    const [from, server, back] = [of('embedded'), of('postgres'), of('embedded again')];
    const original = await stateOf(from);
    await withSnapshot(from, (source) => fillLedger(server, source, OPTIONS));
    assert.deepEqual(await stateOf(server), original);
    assert.equal(await readClosed(server), undefined);
    await withSnapshot(server, (source) => fillLedger(back, source, OPTIONS));
    assert.deepEqual(await stateOf(back), original);
    await server.query(`insert into vidbatch.window (text) values ('the next number is free')`);
  });

  it('gets the answers that only a journal on another machine has', async () => {
    const copy = of('postgres');
    const { rows } = await copy.query<{ id: string; row: number; worker: string; origin: string }>(
      `select a.id, s.id as row, a.worker, a.origin
         from vidbatch.row_state s join vidbatch.attempt a on a.id = s.attempt_id
        where s.state = 'uncertain' and a.outcome is null limit 1`,
    );
    const [attempt = assert.fail('no row is uncertain')] = rows;
    const folder = await mkdtemp(join(tmpdir(), 'vidbatch-copy-'));
    after(() => rm(folder, { recursive: true }));
    const { worker, origin } = attempt;
    const ledger = await readLedgerId(copy);
    const lines = [
      { kind: 'header', version: 1, ledger, worker, origin, at: new Date().toISOString() },
      { kind: 'answer', attempt: attempt.id, outcome: outcomeOf('accepted', { taskId: 'task_heard' }) },
    ];
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    await writeFile(join(folder, `${worker}.jsonl`), text);
    assert.equal((await replayJournals(copy, folder, ledger)).answers, 1);
    assert.equal((await storedOne(copy, attempt.row)).task_id, 'task_heard');
  });

  it('is written once only', async () => {
    await assert.rejects(
      withSnapshot(of('embedded'), (source) => fillLedger(of('postgres'), source, OPTIONS)),
      { code: 'TARGET_NOT_EMPTY' },
    );
  });

  it('is not begun while a worker is alive or a row is in flight; after that, no import adds a row', async () => {
    const db = of('postgres');
    const close = (): ReturnType<typeof closeSource> => closeSource(db, { to: 'x', who: 'y', alone: false });
    await db.query('update vidbatch.worker set seen_at = now()');
    assert.deepEqual(
      (await close())?.workers.map(({ id }) => id),
      ['w'],
    );
    await db.query(`delete from vidbatch.worker`);
    assert.ok(((await close())?.inFlight ?? 0) > 0);
    assert.equal(await readClosed(db), undefined);
    await sweep(db, { all: true });
    assert.equal(await close(), undefined);
    await assert.rejects(transaction(db, requireOpen), { code: 'LEDGER_COPYING', exitCode: 3 });
    await assert.rejects(closeSource(db, { to: 'another place', who: 'y', alone: false }), {
      code: 'LEDGER_COPYING',
    });
  });

  it('is not overtaken by a person who reopens the original', async () => {
    const db = of('postgres');
    const agreed = (await readClosed(db)) ?? assert.fail('the ledger is open');
    const order: string[] = [];
    const waits = async (): Promise<boolean> => {
      const { rows } = await db.query(
        `select from pg_locks where relation = 'vidbatch.meta'::regclass and not granted`,
      );
      return rows.length > 0;
    };
    let reopening: Promise<unknown> = Promise.resolve();
    await withSnapshot(db, async (snapshot) => {
      assert.equal(snapshot.closed?.code, 'copying');
      reopening = transaction(db, (session) => reopenLedger(session, agreed, 'y')).then(() =>
        order.push('reopened'),
      );
      await until(waits);
      order.push('copied');
    });
    await reopening;
    assert.deepEqual(order, ['copied', 'reopened']);
    await transaction(db, (session) => closeLedger(session, { code: 'copied', note: 'x' }, 'y'));
    await assert.rejects(
      transaction(db, (session) => reopenLedger(session, agreed, 'y')),
      { code: 'LEDGER_COPIED' },
    );
  });
});
