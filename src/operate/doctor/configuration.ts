import { formatKeyApart, type Config, type Surroundings } from '../../core/config.ts';
import { NODE_VERSIONS, VERSION } from '../../core/version.ts';
import type { VidbatchError } from '../../core/errors.ts';
import { parsePostgresUrl } from '../../database/postgres/url.ts';
import { checkApiKey } from '../../provider/api-key.ts';
import { configuredProfile } from '../../provider/profile/load.ts';
import { checkCodes } from '../../provider/outcome-table.ts';
import { clearTextOf } from '../../worker/clear-text.ts';
import { nameOfPlace, parseRedisUrl } from '../../worker/queue/redis/url.ts';
import { formatTarget, type Target } from '../notify/target.ts';
import { failed, misconfigured, ok, parsed, skipped, warning, type Check } from './check.ts';

/** The configuration as far as it was understood, and every fault in it. */
export interface Understood {
  config: Config;
  faults: VidbatchError[];
  surroundings: Surroundings;
  /** Where notifications go, as far as the URLs could be used. */
  targets?: readonly Target[];
  /** False: a board, which sends nothing. It may have no URL, no key and no data folder. */
  sends?: boolean;
}

/** A failed check of this name ends with exit code 2: it needed no server. */
const CONFIGURATION = 'configuration';

export function isOfConfiguration({ check }: Check): boolean {
  return check.startsWith(CONFIGURATION);
}

export function judgeConfiguration({
  config,
  faults,
  surroundings,
  targets = [],
  sends = true,
}: Understood): Check[] {
  return [
    ...faults.map((fault) => misconfigured(CONFIGURATION, fault)),
    judgeStorage(config),
    ...judgeClearText(config),
    ...judgeBaseUrl(config, faults, sends),
    ...judgeProfile(config),
    ...judgeKey(config, faults, { surroundings, sends }),
    ...judgeCodes(config),
    ...targets.map(judgeTarget),
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
    return misconfigured(name, error);
  }
}

function judgeClearText(config: Config): Check[] {
  const clear = parsed(() => clearTextOf(config)) ?? [];
  return clear.map(({ what, hint }) => warning(`${CONFIGURATION}-tls`, what, hint));
}

function judgeBaseUrl({ baseUrl }: Config, faults: readonly VidbatchError[], sends: boolean): Check[] {
  const name = `${CONFIGURATION}-base-url`;
  if (baseUrl !== undefined) return [ok(name, baseUrl)];
  // The fault says why.
  if (faults.some(({ code }) => code.startsWith('base-url'))) return [];
  if (!sends) return [skipped(name, 'not set here: only workers need it')];
  return [
    failed(
      name,
      'VIDBATCH_BASE_URL is not set',
      'For example VIDBATCH_BASE_URL=https://api.example.com, in the environment or in .env.',
    ),
  ];
}

/** Without `--profile`, a batch has the default profile, or the profile that it remembers. */
function judgeProfile({ profile }: Config): Check[] {
  const name = `${CONFIGURATION}-profile`;
  if (profile === undefined) return [];
  try {
    const { name: called, unverified } = configuredProfile({ profile });
    const open = unverified.length === 0 ? '' : `; \`profile show\` names what is unverified in it`;
    return [ok(name, `${called}${open}`)];
  } catch (error) {
    return [misconfigured(name, error)];
  }
}

/** Never shows the key, nor its length. */
function judgeKey(
  config: Config,
  faults: readonly VidbatchError[],
  { surroundings: { keyFrom }, sends }: { surroundings: Surroundings; sends: boolean },
): Check[] {
  const { apiKey } = config;
  const name = `${CONFIGURATION}-api-key`;
  if (apiKey === undefined) {
    if (faults.some(({ message }) => message.startsWith('VIDBATCH_API_KEY'))) return [];
    const profile = parsed(() => configuredProfile(config));
    if (profile !== undefined && profile.auth === undefined) return [ok(name, 'the profile needs no key')];
    if (!sends) return [skipped(name, 'not set here: only workers need it')];
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
    const apart = formatKeyApart(config);
    if (apart !== undefined)
      return [warning(name, apart, 'Make sure that the .env of this folder is your own.')];
    return [ok(name, `given by ${keyFrom}`)];
  } catch {
    return [
      failed(
        name,
        `${keyFrom} has a space, a line break or a character outside ASCII`,
        'Give only the key, without "Bearer" and without quotes.',
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
    return [misconfigured(name, error)];
  }
}

/** Nothing is sent: a message would disturb people. */
function judgeTarget(target: Target): Check {
  const signed = target.secret === undefined ? 'not signed' : 'signed';
  const isSigned = target.format !== 'slack' && target.format !== 'wecom';
  return ok(
    `${CONFIGURATION}-notify`,
    `${formatTarget(target)}${isSigned ? `, ${signed}` : ''}; \`vidbatch notify test\` sends a message`,
  );
}

/** What runs here. Versions as in `24.1.0`. */
export interface MachineFacts {
  vidbatch: string;
  node: string;
  /** The oldest Node that is supported. */
  floor: string;
  surroundings: Surroundings;
}

export function thisMachine(): Omit<MachineFacts, 'surroundings'> {
  return {
    vidbatch: VERSION,
    node: process.versions.node,
    floor: NODE_VERSIONS.replace(/^[^\d]*/, ''),
  };
}

export function judgeMachine({ vidbatch, node, floor, surroundings }: MachineFacts): Check[] {
  const checks = [ok('vidbatch', `version ${vidbatch}`)];
  checks.push(
    isBelow(node, floor)
      ? failed('node', `version ${node} is older than ${floor}`, `Install Node ${floor} or newer.`)
      : ok('node', `version ${node}; ${floor} or newer is supported`),
  );
  if (surroundings.tlsUnchecked) {
    checks.push(
      warning(
        'tls',
        'NODE_TLS_REJECT_UNAUTHORIZED=0: no certificate is checked, so another machine on the network can read the API key',
        'Remove it; NODE_EXTRA_CA_CERTS names a file of certificates to trust in addition.',
      ),
    );
  }
  if (surroundings.proxies.length > 0) {
    checks.push(
      warning(
        'proxy',
        `${surroundings.proxies.join(', ')}: set, but not used: vidbatch connects to the provider directly`,
        'Nothing to do if the checks below reach the provider.',
      ),
    );
  }
  return checks;
}

/** Whether a version is below another. Both have three numbers. */
export function isBelow(version: string, floor: string): boolean {
  const [a, b] = [version, floor].map((text) =>
    text.split('.').map((part) => Number.parseInt(part, 10) || 0),
  );
  for (let place = 0; place < 3; place += 1) {
    const difference = (a?.[place] ?? 0) - (b?.[place] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
