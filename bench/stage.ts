import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDatabase, startServer, type OwnDatabase, type OwnServer } from '../test/servers.ts';
import { cpuOf } from './cpu.ts';
import { startTarget, type Target } from './target.ts';

/** What all contenders share: the target, Redis and Postgres, each started when it is first needed. */
export interface Stage {
  target: Target;
  redis: () => Promise<OwnServer>;
  postgres: () => Promise<OwnServer>;
  /** A new database; `copyOf` the one at this URL. Gone when the stage is closed. */
  database: (copyOf?: string) => Promise<OwnDatabase>;
  /** A new folder, gone when the stage is closed. */
  folder: () => Promise<string>;
  /** What was made once under this name. */
  once: <T>(name: string, make: () => Promise<T>) => Promise<T>;
  /** Milliseconds of CPU that the servers took so far. */
  cpu: () => Record<string, number>;
  /** Somebody wants this to end. */
  interrupted: AbortSignal;
  /** `redis 7.0.15`, as far as started. */
  versions: () => string[];
  close: () => Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const root = await mkdtemp(join(tmpdir(), 'vidbatch-bench-'));
  const target = await startTarget();
  const interrupt = new AbortController();
  const onSignal = (): void => interrupt.abort(new Error('interrupted'));
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  const made = new Map<string, Promise<unknown>>();
  const servers = new Map<'redis' | 'postgres', OwnServer>();
  const once = <T>(name: string, make: () => Promise<T>): Promise<T> => {
    const one = made.get(name) ?? make();
    made.set(name, one);
    return one as Promise<T>;
  };
  const server = (kind: 'redis' | 'postgres'): Promise<OwnServer> =>
    once(kind, async () => {
      const started = await startServer(kind, { durable: true });
      servers.set(kind, started);
      return started;
    });
  return {
    target,
    once,
    redis: () => server('redis'),
    postgres: () => server('postgres'),
    async database(copyOf) {
      const { url } = await server('postgres');
      return createDatabase({ databaseUrl: url }, copyOf === undefined ? {} : { copyOf });
    },
    folder: () => mkdtemp(join(root, 'f-')),
    cpu() {
      const all: Record<string, number> = { endpoint: cpuOf(target.pid) };
      for (const [kind, { pid }] of servers) all[kind] = cpuOf(pid);
      return all;
    },
    versions: () => [...servers].map(([kind, { version }]) => `${kind} ${version}`),
    interrupted: interrupt.signal,
    async close() {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
      await target.stop();
      await Promise.all([...servers.values()].map(({ stop }) => stop()));
      await rm(root, { recursive: true, force: true });
    },
  };
}
