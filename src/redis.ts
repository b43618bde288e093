import { Redis } from 'ioredis';
import { placeOf, reasonOf } from './engine.ts';
import { VidbatchError } from './errors.ts';

export function openRedis(url: string): Redis {
  // BullMQ needs commands that wait through an outage rather than fail after some retries.
  return new Redis(url, { maxRetriesPerRequest: null, lazyConnect: true });
}

/** Opens Redis for the queue. @throws VidbatchError within seconds when it cannot be used. */
export async function connectRedis(url: string): Promise<{ redis: Redis; where: string }> {
  const where = placeOf(url, 'REDIS_URL');
  await probeRedis(url, where);
  const redis = openRedis(url);
  redis.on('error', () => undefined);
  await redis.connect();
  return { redis, where };
}

/** A connection that gives up at once, so that a wrong URL is one clear line and not an endless retry. */
async function probeRedis(url: string, where: string): Promise<void> {
  const probe = new Redis(url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 10_000 });
  let reason: unknown;
  probe.on('error', (error) => (reason = error));
  try {
    await probe.connect();
    await probe.ping();
  } catch (error) {
    throw new VidbatchError(
      'QUEUE_UNREACHABLE',
      `Redis at ${where} cannot be used: ${reasonOf(reason ?? error)}`,
      {
        hint: 'Check REDIS_URL, and that the server runs and accepts this password.',
      },
    );
  } finally {
    probe.disconnect();
  }
}
