import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * What becomes of the bytes. `stall`: they wait. `slow`: each piece waits a little. `drop`: they are lost, and the
 * connections that lost some are reset once it is over, as TCP would give up on them.
 */
export type Passage = 'pass' | 'stall' | 'slow' | 'drop';

/** A TCP proxy in front of one server, at which the network can be made to misbehave. */
export interface Proxy {
  port: number;
  /** Where it leads; connections that are open stay where they are. */
  lead: (url: string) => void;
  set: (passage: Passage) => void;
  /** RST on every open connection, in both directions. */
  reset: () => void;
  close: () => Promise<void>;
}

const SLOW_MS = 30;

interface Link {
  ends: readonly [Socket, Socket];
  lossy: boolean;
}

export async function openProxy(): Promise<Proxy> {
  let target = { host: '127.0.0.1', port: 0 };
  let passage: Passage = 'pass';
  let healed = Promise.withResolvers<void>();
  const links = new Set<Link>();

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ ...target, allowHalfOpen: true, noDelay: true });
    const link: Link = { ends: [near, far], lossy: false };
    links.add(link);
    for (const end of link.ends) end.on('error', () => cut(link));
    void Promise.all([carry(link, near, far), carry(link, far, near)]).then(() => cut(link));
  });

  async function carry(link: Link, from: Socket, to: Socket): Promise<void> {
    try {
      for await (const chunk of from) {
        await unstalled();
        if (passage === 'drop') {
          link.lossy = true;
          continue;
        }
        if (passage === 'slow') await sleep(SLOW_MS);
        if (!to.write(chunk as Buffer)) await Promise.race([once(to, 'drain'), once(to, 'close')]);
      }
      to.end();
    } catch {
      cut(link);
    }
  }

  async function unstalled(): Promise<void> {
    if (passage !== 'stall') return;
    await healed.promise;
    await unstalled();
  }

  function cut(link: Link): void {
    links.delete(link);
    for (const end of link.ends) {
      // After a FIN the kernel takes no RST, and the socket would stay for ever.
      if (end.writableEnded) end.destroy();
      else end.resetAndDestroy();
    }
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    lead(url) {
      const { hostname, port } = new URL(url);
      target = { host: hostname, port: Number(port) };
    },
    set(next) {
      passage = next;
      healed.resolve();
      healed = Promise.withResolvers();
      if (next !== 'drop') for (const link of links) if (link.lossy) cut(link);
    },
    reset() {
      for (const link of links) cut(link);
    },
    async close() {
      passage = 'pass';
      healed.resolve();
      for (const link of links) cut(link);
      server.close();
      await once(server, 'close');
    },
  };
}

/** The same URL, by way of the proxy. */
export function by(proxy: Pick<Proxy, 'port'>, url: string): string {
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String(proxy.port);
  // A provider's base URL has no path; only then is a trailing slash a difference.
  return through.pathname === '/' ? through.href.replace(/\/$/, '') : through.href;
}
