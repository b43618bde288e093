import { isBelow } from './machine.ts';
import { failed, ok, skipped, warning } from './check.ts';
import type { Check } from './check.ts';
import type { RedisFacts } from './redis-facts.ts';

/** BullMQ's floor, and what it recommends. */
const OLDEST = '5.0.0';
const RECOMMENDED = '6.2.0';
const MEBIBYTE = 1024 * 1024;

export function judgeRedis(facts: RedisFacts, where: string): Check[] {
  return [
    judgeServer(facts, where),
    judgeRole(facts),
    judgeEviction(facts),
    judgeMemory(facts),
    judgePersistence(facts),
    judgeScripts(facts),
  ];
}

function judgeServer({ kind, version, latencyMs, tls }: RedisFacts, where: string): Check {
  const named = `${kind === 'redis' ? 'Redis' : kind} ${version ?? 'of an unknown version'}`;
  const what = `${named} at ${where}, ${latencyMs.toFixed(1)} ms, ${tls ? 'with' : 'without'} TLS`;
  if (version !== undefined && isBelow(version, OLDEST)) {
    return failed('redis', `${what}: BullMQ needs ${OLDEST}`, `Use Redis ${RECOMMENDED} or newer.`);
  }
  if (version !== undefined && isBelow(version, RECOMMENDED)) {
    return warning(
      'redis',
      `${what}: BullMQ recommends ${RECOMMENDED}`,
      `Use Redis ${RECOMMENDED} or newer.`,
    );
  }
  if (latencyMs > 50) {
    return warning('redis', `${what}: slow`, 'Every row costs several round trips: move closer to it.');
  }
  return ok('redis', what);
}

function judgeRole({ role, loading, cluster }: RedisFacts): Check {
  if (loading) return failed('redis-role', 'it is loading its data', 'Wait until it has.');
  if (role === undefined) return skipped('redis-role', 'unknown: it does not tell its role');
  if (role !== 'master') {
    return failed('redis-role', `it is a ${role}, which only reads`, 'REDIS_URL must name the primary.');
  }
  return ok('redis-role', cluster ? 'a primary of a cluster' : 'a primary');
}

function judgeEviction({ policy }: RedisFacts): Check {
  if (policy === undefined) {
    return skipped(
      'redis-eviction',
      'unknown: it does not tell its maxmemory-policy, which must be noeviction',
    );
  }
  if (policy === 'noeviction') return ok('redis-eviction', 'maxmemory-policy is noeviction');
  return failed(
    'redis-eviction',
    `maxmemory-policy is ${policy}: a queue whose keys are evicted stalls`,
    'Set maxmemory-policy noeviction.',
  );
}

function judgeMemory({ maxMemory, usedMemory }: RedisFacts): Check {
  if (maxMemory === undefined || usedMemory === undefined) {
    return skipped('redis-memory', 'unknown: it does not tell its memory');
  }
  const used = `${mebibytes(usedMemory)} MiB used`;
  if (maxMemory === 0) return ok('redis-memory', `${used}, no limit of its own`);
  const what = `${used} of ${mebibytes(maxMemory)} MiB`;
  // Full, it refuses writes: nothing is lost by it, and nothing goes on.
  if (usedMemory < maxMemory * 0.9) return ok('redis-memory', what);
  return warning('redis-memory', `${what}: nearly full`, 'Raise maxmemory, or lower --queue-depth.');
}

function judgePersistence({ aof, snapshots, lastSnapshotFailed }: RedisFacts): Check {
  if (lastSnapshotFailed) {
    return warning(
      'redis-persistence',
      'its last snapshot failed: by default it then refuses writes',
      'Look for its reason in the log of Redis: usually the disk is full.',
    );
  }
  const kinds = [...(aof === true ? ['append-only file'] : []), ...(snapshots === true ? ['snapshots'] : [])];
  if (kinds.length > 0) return ok('redis-persistence', kinds.join(' and '));
  if (aof === undefined || snapshots === undefined) return ok('redis-persistence', 'unknown, and not needed');
  return ok('redis-persistence', 'none, and none is needed: the ledger fills the queue again');
}

function judgeScripts({ scripts }: RedisFacts): Check {
  if (scripts === null) return ok('redis-scripts', 'this user may run BullMQ’s scripts');
  return failed(
    'redis-scripts',
    `a script could not run: ${scripts}`,
    'Allow this user @all, or at least EVAL, EVALSHA and what they call, on the keys bull:*.',
  );
}

function mebibytes(bytes: number): string {
  return (bytes / MEBIBYTE).toFixed(bytes < 10 * MEBIBYTE ? 1 : 0);
}
