import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { VidbatchError } from '../../../src/core/errors.ts';
import { nextOpening, openings, parseWindow } from '../../../src/core/time/window.ts';
import { common, DAY_MS, offsetAt, stretches, type Span } from '../../../src/core/time/zone.ts';
import { randomOf } from '../../simulation/random.ts';

const MINUTE = 60_000;

function span(from: string, to: string): Span {
  return { from: Date.parse(from), to: Date.parse(to) };
}

function told(text: string, range: Span): string[] {
  const short = (at: number): string => new Date(at).toISOString().replace(/:00\.000Z$/, 'Z');
  return openings(parseWindow('--window', text), range).map(({ from, to }) => `${short(from)} ${short(to)}`);
}

describe('a window', () => {
  const alike: [text: string, stored: string][] = [
    ['23:00-07:00 Asia/Shanghai', '23:00-07:00 Asia/Shanghai'],
    [
      '  Mon-Fri   01:30-05:00 , 12:00-13:30:15  europe/berlin ',
      'Mon-Fri 01:30-05:00,12:00-13:30:15 Europe/Berlin',
    ],
    ['sat,sun 00:00-24:00 utc; 22:00-24:00 UTC;', 'Sat-Sun 00:00-24:00 UTC; 22:00-24:00 UTC'],
    ['Fri-Mon 22:00-02:00 UTC', 'Mon,Fri-Sun 22:00-02:00 UTC'],
    ['00:00-24:00 UTC except 2026-12-25, 2026-12-26', '00:00-24:00 UTC except 2026-12-25,2026-12-26'],
    ['01:00-02:00 Asia/Calcutta', '01:00-02:00 Asia/Calcutta'],
  ];
  for (const [text, stored] of alike) {
    test(`is stored in one spelling: ${text}`, () => {
      assert.equal(parseWindow('--window', text).text, stored);
      assert.equal(parseWindow('--window', stored).text, stored);
    });
  }

  const wrong: [text: string, says: RegExp][] = [
    ['', /^--window: "" is empty; a window is \[days\] HH:MM-HH:MM/],
    ['23:00-07:00', /"23:00-07:00" has no zone/],
    ['23:00-25:00 UTC', /"23:00-25:00" has a time that is not from 00:00 to 23:59:59 \(or 24:00, to close\)/],
    ['24:00-01:00 UTC', /has a time that is not/],
    ['5-6 UTC', /"5-6" is not two times such as 23:00-07:00/],
    ['05:00-05:00 UTC', /"05:00-05:00" is never open; the whole day is 00:00-24:00/],
    ['Mun 05:00-06:00 UTC', /"Mun" is not one of Mon, Tue, Wed, Thu, Fri, Sat, Sun/],
    ['05:00-06:00 Asia/Shangai', /is not a zone of the tz database; did you mean Asia\/Shanghai\?/],
    ['05:00-06:00 shanghai', /did you mean Asia\/Shanghai\?/],
    ['05:00-06:00 EST', /"EST" is not a zone/],
    ['05:00-06:00 +08:00', /"\+08:00" is not a zone/],
    ['05:00-06:00 UTC but 2026-12-25', /"but" after the zone is not "except" and dates/],
    ['05:00-06:00 UTC except 2026-02-30', /"2026-02-30" is not a date such as 2026-12-25/],
    ['05:00-06:00 UTC except 2026-12-25 2026-12-26', /unexpected "2026-12-26"/],
    ['01:00-02:00 UTC;;03:00-04:00 UTC', /"" is empty/],
  ];
  for (const [text, says] of wrong) {
    test(`is refused in one line that says what is allowed: ${text}`, () => {
      assert.throws(
        () => parseWindow('--window', text),
        (error: VidbatchError) => {
          assert.deepEqual([error.code, error.exitCode], ['BAD_WINDOW', 2]);
          assert.match(error.message, says);
          assert.doesNotMatch(error.message, /\n/);
          return true;
        },
      );
    });
  }

  test('across midnight belongs to the day on which it opens, and is skipped with it', () => {
    const week = span('2026-11-20T00:00Z', '2026-11-27T00:00Z');
    assert.deepEqual(told('Fri,Sun 23:00-07:00 UTC', week), [
      '2026-11-20T23:00Z 2026-11-21T07:00Z',
      '2026-11-22T23:00Z 2026-11-23T07:00Z',
    ]);
    assert.deepEqual(told('Fri,Sun 23:00-07:00 UTC except 2026-11-22', week), [
      '2026-11-20T23:00Z 2026-11-21T07:00Z',
    ]);
    assert.deepEqual(told('Thu 23:00-07:00 UTC', { ...week, to: week.from + DAY_MS }), [
      '2026-11-20T00:00Z 2026-11-20T07:00Z',
    ]);
  });

  test('of whole days has no break, except for the days that it skips', () => {
    const days = span('2026-11-20T00:00Z', '2026-11-24T00:00Z');
    assert.deepEqual(told('00:00-24:00 UTC', days), ['2026-11-20T00:00Z 2026-11-24T00:00Z']);
    assert.deepEqual(told('00:00-12:00 UTC; 12:00-24:00 UTC except 2026-11-22', days), [
      '2026-11-20T00:00Z 2026-11-22T12:00Z',
      '2026-11-23T00:00Z 2026-11-24T00:00Z',
    ]);
  });

  describe('on the night when clocks change', () => {
    const spring = span('2026-03-28T12:00Z', '2026-03-29T12:00Z');
    const autumn = span('2026-10-24T12:00Z', '2026-10-25T12:00Z');
    const nights: [text: string, range: Span, open: string[]][] = [
      // 02:00 → 03:00 at 01:00 UTC.
      ['02:30-05:00 Europe/Berlin', spring, ['2026-03-29T01:00Z 2026-03-29T03:00Z']],
      ['23:00-02:30 Europe/Berlin', spring, ['2026-03-28T22:00Z 2026-03-29T01:00Z']],
      ['02:10-02:50 Europe/Berlin', spring, []],
      ['23:00-07:00 Europe/Berlin', spring, ['2026-03-28T22:00Z 2026-03-29T05:00Z']],
      // 03:00 → 02:00 at 01:00 UTC.
      ['23:00-07:00 Europe/Berlin', autumn, ['2026-10-24T21:00Z 2026-10-25T06:00Z']],
      ['01:30-05:00 Europe/Berlin', autumn, ['2026-10-24T23:30Z 2026-10-25T04:00Z']],
      [
        '02:30-05:00 Europe/Berlin',
        autumn,
        ['2026-10-25T00:30Z 2026-10-25T01:00Z', '2026-10-25T01:30Z 2026-10-25T04:00Z'],
      ],
      [
        '01:00-02:30 Europe/Berlin',
        autumn,
        ['2026-10-24T23:00Z 2026-10-25T00:30Z', '2026-10-25T01:00Z 2026-10-25T01:30Z'],
      ],
    ];
    for (const [text, range, open] of nights) {
      test(`is open while a clock on the wall shows its hours: ${text} ${new Date(range.to).toISOString().slice(0, 10)}`, () =>
        assert.deepEqual(told(text, range), open));
    }
  });
});

describe('the next opening of a window that the database calls shut', () => {
  const next = (text: string, now: string): string | undefined => {
    const at = nextOpening(parseWindow('--window', text), Date.parse(now));
    return at === undefined ? undefined : new Date(at).toISOString();
  };

  test('is the first moment of its hours on a day that it opens on', () => {
    assert.equal(next('23:00-07:00 Asia/Shanghai', '2026-11-20T08:00Z'), '2026-11-20T15:00:00.000Z');
    assert.equal(next('Mon 23:00-07:00 UTC', '2026-11-20T08:00Z'), '2026-11-23T23:00:00.000Z');
    assert.equal(next('02:30-05:00 Europe/Berlin', '2026-03-28T12:00Z'), '2026-03-29T01:00:00.000Z');
  });

  test('comes after the last seconds of the hours before, in which nothing is sent any more', () => {
    assert.equal(next('23:00-07:00 UTC', '2026-11-20T06:59:54Z'), '2026-11-20T23:00:00.000Z');
  });

  test('is not known where this machine says that it is open, or does not open in the months to come', () => {
    assert.equal(next('23:00-07:00 UTC', '2026-11-20T06:59:53Z'), undefined);
    assert.equal(next('02:00-03:00 UTC', '2026-11-20T02:00Z'), undefined);
    assert.equal(nextOpening({ rules: [] }, 0), undefined);
  });
});

/** What a clock on the wall of the zone shows, by another way than the program's. */
function wallOf(zone: string): (at: number) => { day: number; time: number } {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'iso8601',
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
  return (at) => {
    const parts = Object.fromEntries(
      format.formatToParts(at).map(({ type, value }) => [type, Number(value)]),
    );
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
    return { day: Date.UTC(year, month - 1, day) / DAY_MS, time: hour * 3600 + minute * 60 + second };
  };
}

describe('in every zone whose clocks change within the year', () => {
  const year = span('2026-01-01T00:00Z', '2027-01-01T00:00Z');
  const changing = Intl.supportedValuesOf('timeZone').flatMap((zone) => {
    const isSame = Array.from({ length: 12 }, (_, n) => offsetAt(zone, year.from + n * 30.5 * DAY_MS));
    if (new Set(isSame).size === 1) return [];
    return [
      {
        zone,
        changes: stretches(zone, year)
          .slice(1)
          .map(({ from }) => from),
      },
    ];
  });
  const random = randomOf(20_261_125);

  test('there are enough of them', () => assert.ok(changing.length > 80, `${changing.length}`));

  test('the change is where the clocks jump, to the millisecond', () => {
    for (const { zone, changes } of changing) {
      const wall = wallOf(zone);
      for (const change of changes) {
        const before = wall(change - 1000);
        const after = wall(change);
        const jump = (after.day - before.day) * 86_400 + after.time - before.time;
        assert.ok(Math.abs(jump - 1) >= 600, `${zone} at ${new Date(change).toISOString()}: ${jump} s`);
        assert.notEqual(offsetAt(zone, change - 1), offsetAt(zone, change));
      }
    }
  });

  test('a window is open exactly while the clock shows its hours on a day that it opens on', () => {
    for (const { zone, changes } of changing) {
      const wall = wallOf(zone);
      const change = random.pick(changes);
      const opens = 15 * random.below(96);
      const closes = random.chance(0.1)
        ? opens === 0
          ? 1440
          : 0
        : (opens + 15 + 15 * random.below(95)) % 1440;
      const two = (n: number): string => String(n).padStart(2, '0');
      const time = (n: number): string => `${two(Math.floor(n / 60))}:${two(n % 60)}`;
      const skipped = wall(change - DAY_MS * random.below(2)).day;
      const except = random.chance(0.3)
        ? ` except ${new Date(skipped * DAY_MS).toISOString().slice(0, 10)}`
        : '';
      const text = `${time(opens)}-${time(closes)} ${zone}${except}`;
      const range = { from: change - 30 * 60 * MINUTE, to: change + 30 * 60 * MINUTE };
      const open = openings(parseWindow('--window', text), range);
      const isShown = (at: number): boolean => {
        const { day, time: seconds } = wall(at);
        const minute = seconds / 60;
        const allowed = (opening: number): boolean => except === '' || opening !== skipped;
        if (closes > opens) return minute >= opens && minute < closes && allowed(day);
        return (minute >= opens && allowed(day)) || (minute < closes && allowed(day - 1));
      };
      const edges = [change, ...open.flatMap(({ from, to }) => [from, to])].flatMap((at) => [at - 1000, at]);
      const some = Array.from({ length: 60 }, () => range.from + MINUTE * random.below(3600));
      for (const at of [...edges, ...some].filter((one) => one >= range.from && one < range.to)) {
        const isOpen = open.some(({ from, to }) => from <= at && at < to);
        assert.equal(isOpen, isShown(at), `${text} at ${new Date(at).toISOString()}`);
      }
      for (const [n, { from, to }] of open.entries()) {
        assert.ok(
          from < to && from > (open[n - 1]?.to ?? -Infinity),
          `${text}: in order, none empty, none touching`,
        );
      }
    }
  });

  test('windows that follow each other on the wall leave no gap and no overlap, and the whole day is whole', () => {
    for (const { zone, changes } of changing) {
      const change = random.pick(changes);
      const range = { from: change - 2 * DAY_MS, to: change + 2 * DAY_MS };
      const cut = `${String(random.below(23) + 1).padStart(2, '0')}:30`;
      const of = (text: string): Span[] => openings(parseWindow('--window', text), range);
      const [early, late] = [of(`00:00-${cut} ${zone}`), of(`${cut}-24:00 ${zone}`)];
      assert.deepEqual(common(early, late), [], `${zone} ${cut}`);
      assert.deepEqual(of(`00:00-${cut} ${zone}; ${cut}-24:00 ${zone}`), [range], `${zone} ${cut}`);
      assert.deepEqual(of(`00:00-24:00 ${zone}`), [range], zone);
    }
  });
});
