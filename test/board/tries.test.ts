import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { areRight } from '../../src/board/credentials.ts';
import { networkOf, Tries } from '../../src/board/tries.ts';

/** A clock that a test turns, and the waits that were asked for. */
function stage() {
  const waits: number[] = [];
  let now = 0;
  const tries = new Tries({ now: () => now, wait: (ms) => Promise.resolve(waits.push(ms)) });
  const wrong = (address: string, times: number): void => {
    for (let n = 0; n < times; n++) tries.judged(address, false);
  };
  return { tries, waits, wrong, pass: (ms: number) => (now += ms) };
}

suite('wrong passwords', () => {
  test('make the next ones slower, up to a limit, and those of no other address', async () => {
    const { tries, waits, wrong } = stage();
    wrong('10.0.0.1', 4);
    assert.equal(tries.turn('10.0.0.1'), undefined);
    for (let n = 0; n < 7; n++) {
      wrong('10.0.0.1', 1);
      await tries.turn('10.0.0.1');
    }
    assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16_000, 16_000, 16_000]);
    assert.equal(tries.turn('10.0.0.2'), undefined, 'who asks from elsewhere is not kept waiting');
  });

  test('are forgiven by a right one, but for one free try, and by time', async () => {
    const { tries, waits, wrong, pass } = stage();
    wrong('10.0.0.1', 9);
    tries.judged('10.0.0.1', true);
    assert.equal(tries.turn('10.0.0.1'), undefined);
    wrong('10.0.0.1', 1);
    await tries.turn('10.0.0.1');
    assert.deepEqual(waits, [1000]);
    pass(15 * 60_000);
    assert.equal(tries.turn('10.0.0.1'), undefined);
    assert.equal(tries.size, 0);
  });

  test('do not pile up: few wait at a time, and few addresses are remembered', () => {
    const tries = new Tries({ now: () => 0, wait: () => new Promise(() => undefined) });
    const knock = (address: string): string => {
      for (let n = 0; n < 5; n++) tries.judged(address, false);
      const turn = tries.turn(address);
      return typeof turn === 'string' ? turn : turn === undefined ? 'now' : 'waits';
    };
    assert.deepEqual([knock('10.0.0.1'), knock('10.0.0.1'), knock('10.0.0.1')], ['waits', 'waits', 'full']);
    const others = Array.from({ length: 60 }, (_, n) => knock(`10.0.1.${n}`));
    assert.equal(others.filter((turn) => turn === 'waits').length, 48, 'fifty of all');
    for (let n = 0; n < 10_000; n++) tries.judged(`10.${n % 250}.${Math.floor(n / 250)}.9`, false);
    assert.equal(tries.size, 5000);
  });

  test('are counted by network where one person has many addresses', () => {
    assert.equal(networkOf('127.8.8.8'), networkOf('::ffff:127.0.0.1'));
    assert.equal(networkOf('::1'), 'loopback');
    assert.equal(networkOf('::ffff:10.0.0.1'), '10.0.0.1');
    assert.equal(networkOf('2001:db8:1:2::9'), networkOf('2001:DB8:1:2:ffff:1:2:3'));
    assert.notEqual(networkOf('2001:db8:1:2::9'), networkOf('2001:db8:1:3::9'));
    assert.equal(networkOf('2001:db8::7'), networkOf('2001:db8:0:0:1::'));
  });
});

suite('credentials', () => {
  const known = { user: 'anna', password: 'a:bß' };
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  test('are right when both halves are, to the last character', () => {
    assert.ok(areRight(known, basic('anna:a:bß')));
    assert.ok(areRight(known, basic('anna:a:bß').replace('Basic', 'basic')));
    const others = ['anna:a:b', 'anna:a:bß ', 'Anna:a:bß', 'anna', ':a:bß', 'anna:', '', 'ann:aa:bß'];
    for (const text of others) assert.ok(!areRight(known, basic(text)), text);
    for (const header of ['', 'Basic', 'Bearer YW5uYTphOmLDnw==', 'Basic ???']) {
      assert.ok(!areRight(known, header), header);
    }
  });
});
