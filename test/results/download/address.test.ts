import assert from 'node:assert/strict';
import type { lookup } from 'node:dns';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { Agent } from 'undici';
import { guardedConnector, isReachable, type Reach } from '../../../src/results/download/address.ts';

const PUBLIC = ['8.8.8.8', '2606:4700::1', '64:ff9b::808:808', '::ffff:8.8.8.8'];
const PRIVATE = [
  '127.0.0.1 10.0.0.1 172.16.0.1 192.168.1.1 100.64.0.1 ::1 fc00::1 fd00:ec2::254 ::ffff:10.0.0.1',
  '::ffff:127.0.0.1 64:ff9b::7f00:1 64:ff9b::a00:1',
]
  .join(' ')
  .split(' ');
const NEVER = [
  '169.254.169.254 0.0.0.0 255.255.255.255 224.0.0.1 240.0.0.1 192.0.2.1 198.18.0.1 :: fe80::1',
  'fe80::1%eth0 ff02::1 ::7f00:1 64:ff9b:1::1 2002:7f00:1:: 2001:0:1:: 2001:db8::1 fec0::1',
  '::ffff:169.254.169.254 64:ff9b::a9fe:a9fe localhost',
]
  .join(' ')
  .split(' ');

describe('an address', () => {
  for (const address of PUBLIC) {
    test(`${address} is public`, () => assert.equal(isReachable(address, { allowPrivate: false }), true));
  }
  for (const address of PRIVATE) {
    test(`${address} is private`, () => {
      assert.equal(isReachable(address, { allowPrivate: false }), false);
      assert.equal(isReachable(address, { allowPrivate: true }), true);
    });
  }
  for (const address of NEVER) {
    test(`${address} is never connected to`, () => {
      assert.equal(isReachable(address, { allowPrivate: true }), false);
    });
  }
});

describe('a connection', async () => {
  const seen: string[] = [];
  const server = createServer((req, res) => {
    seen.push(req.headers.host ?? '');
    res.end('here');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  /** Resolves every name to these addresses, one after the other. */
  async function get(host: string, reach: Partial<Reach>, ...answers: string[]): Promise<string> {
    let asked = 0;
    const resolver = ((_host: string, _options: object, done: (error: null, found: object[]) => void) => {
      const address = answers[Math.min(asked, answers.length - 1)] ?? '';
      asked += 1;
      process.nextTick(done, null, [{ address, family: address.includes(':') ? 6 : 4 }]);
    }) as typeof lookup;
    const whole = { allowPrivate: false, allowHosts: [], ...reach };
    const agent = new Agent({ connect: guardedConnector(whole, { timeoutMs: 1000, lookup: resolver }) });
    try {
      const { body } = await agent.request({ origin: `http://${host}:${port}`, path: '/', method: 'GET' });
      return `${await body.text()} after ${asked}`;
    } catch (error) {
      return (error as Error).name;
    } finally {
      await agent.destroy();
    }
  }

  test('is made to the address that was looked at, which is asked for once', async () => {
    assert.equal(await get('a.example', { allowPrivate: true }, '127.0.0.1', '10.0.0.1'), 'here after 1');
    assert.deepEqual(seen.splice(0), [`a.example:${port}`]);
  });

  test('is not made to a name that leads into a private network, nor to such an address itself', async () => {
    assert.equal(await get('a.example', {}, '127.0.0.1'), 'UnreachableAddress');
    for (const host of ['127.0.0.1', '[::ffff:127.0.0.1]', '0x7f.1', '2130706433']) {
      assert.equal(await get(new URL(`http://${host}/`).hostname, {}), 'UnreachableAddress', host);
    }
    assert.deepEqual(seen, []);
  });

  test('is made to a host that was named, on the port that was named', async () => {
    assert.match(await get('127.0.0.1', { allowHosts: [`127.0.0.1:${port}`] }), /^here/);
    assert.match(await get('127.0.0.1', { allowHosts: ['127.0.0.1'] }), /^here/);
    assert.equal(await get('127.0.0.1', { allowHosts: ['127.0.0.1:1'] }), 'UnreachableAddress');
    server.close();
  });
});
