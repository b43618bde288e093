import { clearTextOf } from '../../worker/clear-text.ts';
import { keyApartTold } from '../../core/config.ts';
import type { Config, Surroundings } from '../../core/config.ts';
import { messageOf, VidbatchError } from '../../core/errors.ts';
import { parsePostgresUrl } from '../../database/postgres/url.ts';
import { checkApiKey } from '../../provider/api-key.ts';
import { checkCodes } from '../../provider/table.ts';
import { nameOfPlace, parseRedisUrl } from '../../worker/queue/redis/url.ts';
import { failed, ok, warning } from './check.ts';
import type { Check } from './check.ts';

/** The configuration as it was understood, and every fault that kept a part of it from being so. */
export interface Understood {
  config: Config;
  faults: VidbatchError[];
  surroundings: Surroundings;
}

/** Checks of this name are what exit code 2 is for: nobody had to be asked. */
const CONFIGURATION = 'configuration';

export function isOfConfiguration({ check }: Check): boolean {
  return check.startsWith(CONFIGURATION);
}

export function judgeConfiguration({ config, faults, surroundings }: Understood): Check[] {
  return [
    ...faults.map((fault) => failed(CONFIGURATION, fault.message, fault.hint ?? 'See .env.example.')),
    judgeStorage(config),
    ...judgeClearText(config),
    ...judgeBaseUrl(config, faults),
    ...judgeKey(config, faults, surroundings),
    ...judgeCodes(config),
  ];
}

function judgeStorage({ databaseUrl, redisUrl, dataDir }: Config): Check {
  const name = `${CONFIGURATION}-storage`;
  try {
    const ledger =
      databaseUrl === undefined
        ? `embedded in ${dataDir}`
        : `Postgres at ${parsePostgresUrl(databaseUrl).name}`;
    const queue =
      redisUrl === undefined ? 'the same database' : `Redis at ${nameOfPlace(parseRedisUrl(redisUrl))}`;
    const reach = databaseUrl === undefined ? 'one machine, one worker' : 'any number of machines';
    return ok(name, `ledger: ${ledger} · queue: ${queue} · ${reach}`);
  } catch (error) {
    return failed(
      name,
      messageOf(error),
      (error instanceof VidbatchError && error.hint) || 'See .env.example.',
    );
  }
}

function judgeClearText(config: Config): Check[] {
  try {
    return clearTextOf(config).map(({ what, hint }) => warning(`${CONFIGURATION}-tls`, what, hint));
  } catch {
    // It has been told why.
    return [];
  }
}

function judgeBaseUrl({ baseUrl }: Config, faults: readonly VidbatchError[]): Check[] {
  const name = `${CONFIGURATION}-base-url`;
  if (baseUrl !== undefined) return [ok(name, baseUrl)];
  // It has been told why.
  if (faults.some(({ code }) => code.startsWith('base-url'))) return [];
  return [
    failed(
      name,
      'VIDBATCH_BASE_URL is not set',
      'For example VIDBATCH_BASE_URL=https://api.example.com, in the environment or in .env.',
    ),
  ];
}

/** Never the key, nor how long it is. */
function judgeKey(config: Config, faults: readonly VidbatchError[], { keyFrom }: Surroundings): Check[] {
  const { apiKey } = config;
  const name = `${CONFIGURATION}-api-key`;
  if (apiKey === undefined) {
    if (faults.some(({ message }) => message.startsWith('VIDBATCH_API_KEY'))) return [];
    return [
      failed(
        name,
        'VIDBATCH_API_KEY is not set',
        'Set it in the environment or in .env, or name a file that holds it with VIDBATCH_API_KEY_FILE.',
      ),
    ];
  }
  try {
    checkApiKey(apiKey);
    const apart = keyApartTold(config);
    if (apart !== undefined)
      return [warning(name, apart, 'Make sure that the .env of this folder is your own.')];
    return [ok(name, `given by ${keyFrom}`)];
  } catch {
    return [
      failed(
        name,
        `${keyFrom} has a space, a line break or a character outside ASCII`,
        'Give the key alone, without "Bearer" and without quotes.',
      ),
    ];
  }
}

function judgeCodes({ codes }: Config): Check[] {
  const moved = Object.entries(codes);
  if (moved.length === 0) return [];
  const name = `${CONFIGURATION}-codes`;
  try {
    checkCodes(codes);
    return [ok(name, moved.map(([code, kind]) => `${code}=${kind}`).join(', '))];
  } catch (error) {
    return [
      failed(name, messageOf(error), (error instanceof VidbatchError && error.hint) || 'See .env.example.'),
    ];
  }
}
