import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach, describe, test } from 'node:test';
import type { VidbatchError } from '../../../src/core/errors.ts';
import { openings, parseWindow, type Window } from '../../../src/core/time/window.ts';
import { DAY_MS, stretches } from '../../../src/core/time/zone.ts';
import { transaction, type Database, type Queryable } from '../../../src/database/database.ts';
import { readShutGates } from '../../../src/ledger/send/blocked.ts';
import { readWindows } from '../../../src/ledger/send/window.ts';
import {
  keepWindow,
  putBatchUnder,
  setBatchWindow,
  setOffPeakWindow,
} from '../../../src/ledger/send/window-change.ts';
import { claimAll, makeBatch, only, tryAlone } from '../../contract/rows.ts';
import { SQL_LEDGERS, onEvery } from '../../contract/storages.ts';
import { randomOf, type Random } from '../../simulation/random.ts';

/** Gaps and overlaps of half an hour to two hours, clocks at odd distances from UTC, and clocks that never change. */
const ZONES = [
  'Europe/Berlin',
  'America/New_York',
  'America/Scoresbysund',
  'America/St_Johns',
  'Australia/Lord_Howe',
  'Antarctica/Troll',
  'Africa/Casablanca',
  'Pacific/Chatham',
  'Pacific/Kiritimati',
  'Asia/Kolkata',
  'UTC',
];
/** In the past, where all versions of the time zone data agree. */
const YEAR = { from: Date.UTC(2024, 8, 1), to: Date.UTC(2025, 8, 1) };

async function isOpenAt(db: Queryable, id: number, moments: readonly number[]): Promise<boolean[]> {
  const { rows } = await db.query<{ open: boolean }>(
    `select vidbatch.is_open($1, to_timestamp(moment / 1000), 0) as open
       from unnest($2::float8[]) with ordinality m(moment, number) order by number`,
    [id, moments],
  );
  return rows.map(({ open }) => open);
}

/** The day near which the clocks of the zone change, or any day: as if it were UTC. */
function dayOf(zone: string, random: Random): number {
  const [, ...later] = stretches(zone, YEAR);
  const change = later.length === 0 ? YEAR.from + random.below(365) * DAY_MS : random.pick(later).from;
  return Math.floor(change / DAY_MS) * DAY_MS;
}

function randomWindow(random: Random, zone: string, day: number): string {
  const two = (n: number): string => String(n).padStart(2, '0');
  const time = (seconds: number): string =>
    [seconds / 3600, (seconds / 60) % 60, seconds % 60].map((n) => two(Math.floor(n))).join(':');
  const hours = (): string => {
    if (random.chance(0.1)) return '00:00-24:00';
    // Most hours are near the night, when clocks change.
    const opens = random.chance(0.6) ? 450 * random.below(40) : random.below(86_400);
    const closes = (opens + (random.chance(0.5) ? 450 : 1) * (1 + random.below(180))) % 86_400;
    return `${time(opens)}-${time(closes)}`;
  };
  const days = random.chance(0.4) ? random.pick(['Sun', 'Sat', 'Mon-Fri', 'Sat,Mon', 'Fri-Sun']) : '';
  const skipped = new Date(day + DAY_MS * (random.below(3) - 1)).toISOString().slice(0, 10);
  const except = random.chance(0.3) ? `except ${skipped}` : '';
  return `${days} ${[hours(), ...(random.chance(0.3) ? [hours()] : [])].join(',')} ${zone} ${except}`;
}

function onMars(text = `${randomUUID()} Mars/Phobos`): Window {
  const hours = [{ opens: 0, closes: DAY_MS }];
  return { text, rules: [{ zone: 'Mars/Phobos', days: undefined, hours, except: new Set() }] };
}

/** As if the ledger had been moved to a database with older time zone data. */
async function forgetZone(db: Database, id: number): Promise<void> {
  await db.query(`update vidbatch.window_hours set zone = 'Mars/Phobos' where window_id = $1`, [id]);
}

onEvery(SQL_LEDGERS, (storage) => {
  afterEach(() => setOffPeakWindow(storage().db, null));

  test('the database calls a window open exactly while its computed openings say so', async () => {
    const random = randomOf(20_261_130);
    for (let n = 0; n < 5 * ZONES.length; n += 1) {
      const zones = [ZONES[n % ZONES.length] ?? 'UTC', ...(random.chance(0.2) ? [random.pick(ZONES)] : [])];
      const day = dayOf(zones[0] ?? 'UTC', random);
      const text = zones.map((zone) => randomWindow(random, zone, day)).join(';');
      const window = parseWindow('the test', text);
      const range = { from: day - 2 * DAY_MS, to: day + 3 * DAY_MS };
      const open = openings(window, range);
      const changes = zones.flatMap((zone) => stretches(zone, range).map(({ from }) => from));
      const ends = [...changes, ...open.flatMap(({ from, to }) => [from, to])];
      const moments = [
        ...ends.flatMap((at) => [at - 1, at, at + 1, at + 1_800_000]),
        ...Array.from({ length: 100 }, () => range.from + random.below(range.to - range.from)),
      ].filter((at) => at >= range.from && at < range.to);
      const said = await transaction(storage().db, async (session) => {
        // The session's TimeZone must not change the result.
        await session.query(`select set_config('TimeZone', $1, true)`, [random.pick(ZONES)]);
        return isOpenAt(session, await keepWindow(session, window), moments);
      });
      const wrong = moments.filter((at, m) => said[m] !== open.some(({ from, to }) => from <= at && at < to));
      assert.deepEqual(
        wrong.map((at) => new Date(at).toISOString()),
        [],
        window.text,
      );
    }
  });

  test('the database does not call a window open for an unknown time', async () => {
    const { db } = storage();
    const always = await keepWindow(db, parseWindow('the test', '00:00-24:00 UTC'));
    const { rows } = await db.query(
      'select vidbatch.is_open($1, now(), 6) as six, vidbatch.is_open($1, now(), null) as unknown',
      [always],
    );
    assert.deepEqual(rows, [{ six: true, unknown: false }]);
  });

  test('a window that two processes write at the same time is stored once', async () => {
    const { db } = storage();
    const window = parseWindow(
      'the test',
      'Mon,Sat 01:02-03:04,22:00-05:00:06 UTC; 12:00-24:00 Asia/Kolkata',
    );
    const ids = await Promise.all([1, 2, 3].map(() => keepWindow(db, window)));
    assert.equal(new Set([...ids, await keepWindow(db, window)]).size, 1);
    const { rows } = await db.query(
      `select zone, days, opens::text, closes::text, except_on from vidbatch.window_hours where window_id = $1
        order by number`,
      [ids[0]],
    );
    const everyDay = [1, 2, 3, 4, 5, 6, 7];
    assert.deepEqual(rows, [
      { zone: 'UTC', days: [1, 6], opens: '01:02:00', closes: '03:04:00', except_on: [] },
      { zone: 'UTC', days: [1, 6], opens: '22:00:00', closes: '29:00:06', except_on: [] },
      { zone: 'Asia/Kolkata', days: everyDay, opens: '12:00:00', closes: '24:00:00', except_on: [] },
    ]);
  });

  describe('a zone that the database does not know', () => {
    test('is refused in one line, and the batch keeps its window', async () => {
      const { db } = storage();
      const made = await makeBatch(db);
      await assert.rejects(putBatchUnder(db, made.id, onMars()), (error: VidbatchError) => {
        assert.deepEqual([error.code, error.exitCode], ['BAD_WINDOW', 2]);
        assert.match(error.message, /^the database of the ledger does not know the time zone Mars\/Phobos$/);
        return true;
      });
      assert.equal((await readWindows(db, made.id)).batch, null);
    });

    test('is known in any case of its letters', async () => {
      const id = await keepWindow(storage().db, parseWindow('the test', '01:00-02:00 asia/kolkata'));
      assert.ok(id > 0);
    });

    test('shuts the window that was in it, and no other', async () => {
      const { db } = storage();
      const [away, here] = [await makeBatch(db), await makeBatch(db)];
      const id = await keepWindow(db, parseWindow('the test', '00:00-24:00 Asia/Tokyo'));
      await setBatchWindow(db, away.id, id);
      assert.deepEqual(await readShutGates(db, away.id), []);
      await forgetZone(db, id);
      assert.deepEqual(await readShutGates(db, away.id), ['window']);
      assert.equal(await tryAlone(db, away, only(away.rows)), undefined);
      await claimAll(db, here, here.rows);
    });
  });
});
