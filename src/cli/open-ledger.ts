import type { Config } from '../core/config.ts';
import { VidbatchError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { openLedger } from '../worker/app.ts';
import type { LedgerApp, Role } from '../worker/app.ts';
import { nameOfPlace, parseRedisUrl } from '../worker/queue/redis/url.ts';
import type { Io } from './io.ts';

/** Redis is only looked at, while the ledger is opened: a command does not wait for it. */
const LOOK_MS = 1_000;

/**
 * The ledger for a command that needs no queue. It works while Redis is away, and one line says so: what a person sees
 * is right, but no worker takes rows.
 */
export async function openLedgerOnly(
  config: Config,
  io: Pick<Io, 'err'>,
  { role = 'reader', log }: { role?: Exclude<Role, 'worker'>; log?: Logger } = {},
): Promise<LedgerApp> {
  const [app, away] = await Promise.all([openLedger(config, role, log), troubleOf(config.redisUrl)]);
  if (away !== undefined) io.err(`${away}; shown from the ledger`);
  return app;
}

/** For a command that opens it again and again, as an embedded folder changes hands: Redis is told of once. */
export function ledgerOpener(config: Config, io: Pick<Io, 'err'>, log: Logger): () => Promise<LedgerApp> {
  let told = false;
  const once = {
    err(line: string) {
      if (!told) io.err(line);
      told = true;
    },
  };
  return () => openLedgerOnly(config, once, { log });
}

async function troubleOf(url: string | undefined): Promise<string | undefined> {
  if (url === undefined) return undefined;
  const place = parseRedisUrl(url);
  const { probeRedis } = await import('../worker/queue/redis/probe.ts');
  try {
    await probeRedis(place, LOOK_MS);
    return undefined;
  } catch (error) {
    return error instanceof VidbatchError && error.code !== 'QUEUE_UNREACHABLE'
      ? error.message
      : `Redis at ${nameOfPlace(place)} is away`;
  }
}
