import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { areValid } from '../../src/board/access/credentials.ts';
import { networkOf, LoginThrottle } from '../../src/board/access/login-throttle.ts';

/** A clock that a test turns, and the waits that were asked for. */
function fixture() {
  const waits: number[] = [];
  let now = 0;
  const throttle = new LoginThrottle({ now: () => now, wait: (ms) => Promise.resolve(waits.push(ms)) });
  const wrong = (address: string, times: number): void => {
    for (let n = 0; n < times; n++) throttle.record(address, false);
  };
  return { throttle, waits, wrong, pass: (ms: number) => (now += ms) };
}

suite('wrong passwords', () => {
  test('make the next logins of this address slower, up to a limit, and of no other address', async () => {
    const { throttle, waits, wrong } = fixture();
    wrong('10.0.0.1', 4);
    assert.equal(throttle.wait('10.0.0.1'), undefined);
    for (let n = 0; n < 7; n++) {
      wrong('10.0.0.1', 1);
      await throttle.wait('10.0.0.1');
    }
    assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16_000, 16_000, 16_000]);
    assert.equal(throttle.wait('10.0.0.2'), undefined, 'who asks from elsewhere is not kept waiting');
  });

  test('are forgotten after some time; a right password gives one more free try', async () => {
    const { throttle, waits, wrong, pass } = fixture();
    wrong('10.0.0.1', 9);
    throttle.record('10.0.0.1', true);
    assert.equal(throttle.wait('10.0.0.1'), undefined);
    wrong('10.0.0.1', 1);
    await throttle.wait('10.0.0.1');
    assert.deepEqual(waits, [1000]);
    pass(15 * 60_000);
    assert.equal(throttle.wait('10.0.0.1'), undefined);
    assert.equal(throttle.size, 0);
  });

  test('are limited: few logins wait at a time, and few addresses are remembered', () => {
    const throttle = new LoginThrottle({ now: () => 0, wait: () => new Promise(() => undefined) });
    const knock = (address: string): string => {
      for (let n = 0; n < 5; n++) throttle.record(address, false);
      const wait = throttle.wait(address);
      return typeof wait === 'string' ? wait : wait === undefined ? 'now' : 'waits';
    };
    assert.deepEqual([knock('10.0.0.1'), knock('10.0.0.1'), knock('10.0.0.1')], ['waits', 'waits', 'full']);
    const others = Array.from({ length: 60 }, (_, n) => knock(`10.0.1.${n}`));
    assert.equal(others.filter((wait) => wait === 'waits').length, 48, 'fifty of all');
    for (let n = 0; n < 10_000; n++) throttle.record(`10.${n % 250}.${Math.floor(n / 250)}.9`, false);
    assert.equal(throttle.size, 5000);
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
  test('are right only if name and password are equal to the last character', () => {
    assert.ok(areValid(known, basic('anna:a:bß')));
    assert.ok(areValid(known, basic('anna:a:bß').replace('Basic', 'basic')));
    const others = ['anna:a:b', 'anna:a:bß ', 'Anna:a:bß', 'anna', ':a:bß', 'anna:', '', 'ann:aa:bß'];
    for (const text of others) assert.ok(!areValid(known, basic(text)), text);
    for (const header of ['', 'Basic', 'Bearer YW5uYTphOmLDnw==', 'Basic ???']) {
      assert.ok(!areValid(known, header), header);
    }
  });
});
