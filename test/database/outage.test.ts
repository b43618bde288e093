import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Outage } from '../../src/database/outage.ts';
import { hear, type Heard } from '../contract/log.ts';

const SETTLED_MS = 10_000;

function watched(t: TestContext): { outage: Outage; heard: Heard; told: () => unknown[] } {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const heard = hear();
  const outage = new Outage('queue', 'Redis at h', SETTLED_MS);
  outage.logTo(heard.log);
  outage.worked();
  return { outage, heard, told: () => heard.lines.map(({ event }) => event) };
}

test('an outage is logged once when it begins, with its first reason, and once when it has ended', (t) => {
  const { outage, heard, told } = watched(t);
  outage.failed(new Error('connect ECONNREFUSED'));
  for (let n = 0; n < 100; n += 1) outage.failed(new Error('another'));
  outage.worked();
  outage.worked();
  t.mock.timers.tick(SETTLED_MS);
  assert.deepEqual(told(), ['queue-away', 'queue-back']);
  assert.equal(heard.lines[0]?.['error'], 'connect ECONNREFUSED');
  assert.equal(heard.lines[0]?.['msg'], 'Redis at h is away: everything that needs it waits');
  outage.failed(new Error('once more'));
  assert.deepEqual(told(), ['queue-away', 'queue-back', 'queue-away']);
});

test('a server that comes and goes is one outage, until it stays', (t) => {
  const { outage, told } = watched(t);
  for (let n = 0; n < 50; n += 1) {
    outage.failed(new Error('READONLY'));
    outage.worked();
    t.mock.timers.tick(SETTLED_MS - 1);
  }
  assert.deepEqual(told(), ['queue-away']);
  t.mock.timers.tick(1);
  assert.deepEqual(told(), ['queue-away', 'queue-back']);
});

test('its end is logged at the latest when all is closed, and later failures are not an outage', (t) => {
  const { outage, told } = watched(t);
  outage.failed(new Error('gone'));
  outage.worked();
  outage.close();
  assert.deepEqual(told(), ['queue-away', 'queue-back']);
  outage.failed(new Error('closed by us'));
  assert.deepEqual(told(), ['queue-away', 'queue-back']);
});

test('an outage from before `logTo` is logged then', () => {
  const heard = hear();
  const outage = new Outage('ledger', 'Postgres at h');
  outage.failed(new Error('never worked: its opener says why'));
  outage.logTo(heard.log);
  assert.equal(heard.lines.length, 0);
  outage.worked();
  outage.failed(new Error('gone'));
  assert.equal(outage.away, true);
  assert.equal(heard.lines.length, 1);
  outage.close();
});
