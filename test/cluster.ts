import { Redis } from 'ioredis';
import { startServer } from './servers.ts';
import { until } from './until.ts';

/** A Redis cluster of three masters, each with a third of the slots. */
export interface OwnCluster {
  /** All nodes. */
  url: string;
  /** One node, as a plain server: what managed clusters hand out. */
  oneUrl: string;
  stop: () => Promise<void>;
}

const SLOTS = 16_384;

export async function startCluster(): Promise<OwnCluster> {
  const nodes = await Promise.all(Array.from({ length: 3 }, () => startServer('redis', { cluster: true })));
  const clients = nodes.map(({ url }) => new Redis(url));
  try {
    const size = Math.ceil(SLOTS / nodes.length);
    for (const [n, client] of clients.entries()) {
      await client.call('cluster', 'addslotsrange', n * size, Math.min((n + 1) * size, SLOTS) - 1);
    }
    for (const { url, busPort = 0 } of nodes.slice(1)) {
      await clients[0]?.call('cluster', 'meet', '127.0.0.1', new URL(url).port, busPort);
    }
    // They tell one another by and by.
    for (const client of clients) {
      await until(async () =>
        /cluster_state:ok.*cluster_known_nodes:3/s.test(String(await client.call('cluster', 'info'))),
      );
    }
  } finally {
    for (const client of clients) client.disconnect();
  }
  const hosts = nodes.map(({ url }) => new URL(url).host);
  return {
    url: `redis+cluster://${hosts.join(',')}`,
    oneUrl: nodes[0]?.url ?? '',
    stop: async () => void (await Promise.all(nodes.map((node) => node.stop()))),
  };
}
