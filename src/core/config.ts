import { resolve } from 'node:path';
import { normaliseBaseUrl } from './base-url.ts';
import { isFromEnvFile } from './env-file.ts';
import { BOARD_VARIABLES, NOTIFY_VARIABLES, plain, readVariables, secret } from './environment.ts';
import { usageError, VidbatchError } from './errors.ts';
import { defined } from './json.ts';
import type { LogLevel } from './log.ts';

const VARIABLES = [
  'VIDBATCH_BASE_URL',
  'VIDBATCH_API_KEY',
  'VIDBATCH_API_KEY_FILE',
  'REDIS_URL',
  'REDIS_URL_FILE',
  'DATABASE_URL',
  'DATABASE_URL_FILE',
  'VIDBATCH_DATA_DIR',
  'VIDBATCH_ALLOW_HTTP',
  'VIDBATCH_PROFILE',
  'VIDBATCH_MODELS',
  'VIDBATCH_CODES',
  'VIDBATCH_PROVIDER_IDEMPOTENT',
  'VIDBATCH_OTEL',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
  'OTEL_TRACES_EXPORTER',
  'OTEL_SDK_DISABLED',
] as const;

type Variable = (typeof VARIABLES)[number];

/** All variables that do not follow from the name of a flag. */
export const OWN_VARIABLES = [...VARIABLES, ...BOARD_VARIABLES, ...NOTIFY_VARIABLES] as const;
type Values = Record<Variable, string | undefined>;

/** Flags that replace variables. */
interface Overrides {
  baseUrl?: string;
  dataDir?: string;
  /** Plain http to a host that is not this machine. */
  allowHttp?: boolean;
  logLevel?: LogLevel;
  acceptForeignJournals?: string;
  profile?: string;
}

/** The environment and the flags of the command. The API key leaves this object only in requests. */
export interface Config {
  baseUrl: string | undefined;
  apiKey: string | undefined;
  redisUrl: string | undefined;
  databaseUrl: string | undefined;
  /** Absolute. */
  dataDir: string;
  /** What the provider of a new batch looks like: the name of a built-in profile, or a file. */
  profile?: string;
  /** Models that the provider of this user has besides the known models. */
  models: string[];
  /** Provider codes that the user has moved to another outcome: code → kind. */
  codes: Record<string, string>;
  /** The provider honours the Idempotency-Key, so an uncertain row may be sent again under its key. */
  providerIdempotent: boolean;
  /** The key comes from the environment, but the URL from `.env`, which another person may have written. */
  keyApart?: true;
  /** Variables that set a proxy. vidbatch does not use a proxy. */
  proxies?: string[];
  /** Whether spans are made: `maybe`, if the package is installed. */
  otel?: 'yes' | 'no' | 'maybe';
  /** While the ledger is being opened. Default: info. */
  logLevel?: LogLevel;
  /** The person who says that this ledger is right, although the data folder holds journals of another ledger. */
  acceptForeignJournals?: string;
}

const YES = /^(1|true|yes|on)$/i;
const NO = /^(0|false|no|off)$/i;

/** Whether a flag's variable counts as not set: it is empty, or `VIDBATCH_KEEP_GOING=false` for a flag without a value. */
export function saysNothing(variable: string, takesValue: boolean, env = process.env): boolean {
  const value = env[variable]?.trim();
  return value === '' || (!takesValue && NO.test(value ?? ''));
}

/**
 * @throws VidbatchError exit 2 for an invalid base URL, or one that would send the key unencrypted over a network.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env, over: Overrides = {}): Config {
  const values = readVariables(VARIABLES, env);
  const baseUrl = over.baseUrl ?? plain('VIDBATCH_BASE_URL', values.VIDBATCH_BASE_URL);
  const proxies = proxyVariables(env);
  const allowHttp = over.allowHttp ?? YES.test(values.VIDBATCH_ALLOW_HTTP ?? '');
  return {
    baseUrl: baseUrl === undefined ? undefined : normaliseBaseUrl(baseUrl, { allowHttp }),
    apiKey: secret('VIDBATCH_API_KEY', values.VIDBATCH_API_KEY, values.VIDBATCH_API_KEY_FILE),
    redisUrl: secret('REDIS_URL', values.REDIS_URL, values.REDIS_URL_FILE),
    databaseUrl: secret('DATABASE_URL', values.DATABASE_URL, values.DATABASE_URL_FILE),
    dataDir: resolve(over.dataDir ?? values.VIDBATCH_DATA_DIR ?? '.vidbatch'),
    models: values.VIDBATCH_MODELS?.split(/[\s,]+/).filter(Boolean) ?? [],
    codes: parseCodes(values.VIDBATCH_CODES),
    providerIdempotent: parseSwitch('VIDBATCH_PROVIDER_IDEMPOTENT', values.VIDBATCH_PROVIDER_IDEMPOTENT),
    otel: otelOf(values),
    ...defined({
      proxies: proxies.length === 0 ? undefined : proxies,
      keyApart: isKeyApart(values, over) ? true : undefined,
      profile: over.profile ?? values.VIDBATCH_PROFILE,
      logLevel: over.logLevel,
      acceptForeignJournals: over.acceptForeignJournals,
    }),
  };
}

function isKeyApart(values: Values, over: Overrides): boolean {
  // The flag falls back to the variable, and holds its value then.
  const fromFlag = over.baseUrl !== undefined && over.baseUrl !== values.VIDBATCH_BASE_URL;
  if (fromFlag || !isFromEnvFile('VIDBATCH_BASE_URL')) return false;
  const name = values.VIDBATCH_API_KEY === undefined ? 'VIDBATCH_API_KEY_FILE' : 'VIDBATCH_API_KEY';
  return values[name] !== undefined && !isFromEnvFile(name);
}

/** The warning for a key and a URL from different sources, if it applies. */
export function formatKeyApart(config: Pick<Config, 'keyApart' | 'baseUrl'>): string | undefined {
  const { keyApart, baseUrl } = config;
  if (keyApart === undefined || baseUrl === undefined) return undefined;
  return `the API key comes from the environment, and goes to ${baseUrl}, which .env sets`;
}

/** Variables that are checked together. */
const GROUPS: readonly (readonly Variable[])[] = [
  ['VIDBATCH_BASE_URL', 'VIDBATCH_ALLOW_HTTP'],
  ['VIDBATCH_API_KEY', 'VIDBATCH_API_KEY_FILE'],
  ['DATABASE_URL', 'DATABASE_URL_FILE'],
  ['REDIS_URL', 'REDIS_URL_FILE'],
  ['VIDBATCH_CODES'],
  ['VIDBATCH_PROVIDER_IDEMPOTENT'],
];

/** The rest of the environment that affects a connection. */
export interface Surroundings {
  /** The variable that gives the key. */
  keyFrom: 'VIDBATCH_API_KEY' | 'VIDBATCH_API_KEY_FILE';
  /** Names of variables that set a proxy. */
  proxies: string[];
  /** Certificates are not checked. */
  tlsUnchecked: boolean;
}

/** For `doctor`: the readable part of the configuration, and every fault in the rest. */
export function readWhatCanBe(
  env: NodeJS.ProcessEnv = process.env,
  over: Overrides = {},
): { config: Config; faults: VidbatchError[]; surroundings: Surroundings } {
  const legible = { ...env };
  const flags = { ...over };
  const faults: VidbatchError[] = [];
  for (const group of GROUPS) {
    const own = Object.fromEntries(group.map((name) => [name, env[name]]));
    const isProvider = group.includes('VIDBATCH_BASE_URL');
    try {
      readConfig(own, isProvider ? over : {});
    } catch (error) {
      if (!(error instanceof VidbatchError)) throw error;
      faults.push(error);
      for (const name of group) delete legible[name];
      if (isProvider) delete flags.baseUrl;
    }
  }
  return {
    config: readConfig(legible, flags),
    faults,
    surroundings: {
      keyFrom: env['VIDBATCH_API_KEY']?.trim() ? 'VIDBATCH_API_KEY' : 'VIDBATCH_API_KEY_FILE',
      proxies: proxyVariables(env),
      tlsUnchecked: env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0',
    },
  };
}

function proxyVariables(env: NodeJS.ProcessEnv): string[] {
  const names = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy'];
  return names.filter((name) => env[name]?.trim());
}

/**
 * `keyless`: the profile needs no key.
 * @throws VidbatchError exit 2 when the URL or the key is missing.
 */
export function requireProvider(
  config: Config,
  { keyless = false }: { keyless?: boolean } = {},
): { baseUrl: string; apiKey?: string; proxies?: string[] } {
  const { baseUrl, apiKey, proxies } = config;
  if (baseUrl === undefined) {
    throw usageError(
      'NO_BASE_URL',
      'the provider is not known: VIDBATCH_BASE_URL is not set',
      'For example VIDBATCH_BASE_URL=https://api.example.com, in the environment or in .env.',
    );
  }
  if (apiKey === undefined && !keyless) {
    throw noApiKey('the API key is not known: VIDBATCH_API_KEY is not set');
  }
  return defined({ baseUrl, apiKey, proxies });
}

/** Exit code 2. */
export function noApiKey(message: string): VidbatchError {
  return usageError(
    'NO_API_KEY',
    message,
    'Set it in the environment, in .env, or name a file that holds it with VIDBATCH_API_KEY_FILE.',
  );
}

/** By `VIDBATCH_OTEL`, or without it by the variables of the exporter. */
function otelOf(values: Values): 'yes' | 'no' | 'maybe' {
  if (values.VIDBATCH_OTEL !== undefined)
    return parseSwitch('VIDBATCH_OTEL', values.VIDBATCH_OTEL) ? 'yes' : 'no';
  if (/^true$/i.test(values.OTEL_SDK_DISABLED ?? '')) return 'no';
  const exporter = values.OTEL_TRACES_EXPORTER;
  if (exporter !== undefined) return exporter === 'none' ? 'no' : 'maybe';
  const endpoint = values.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? values.OTEL_EXPORTER_OTLP_ENDPOINT;
  return endpoint === undefined ? 'no' : 'maybe';
}

/** A switch may cost money, so an unclear value is refused. */
function parseSwitch(name: string, value: string | undefined): boolean {
  if (value === undefined || NO.test(value)) return false;
  if (YES.test(value)) return true;
  throw usageError('BAD_SWITCH', `${name}: "${value}" is neither true nor false`);
}

function parseCodes(list: string | undefined): Record<string, string> {
  const codes: Record<string, string> = {};
  for (const pair of list?.split(/[\s,]+/).filter(Boolean) ?? []) {
    const [code, kind, ...rest] = pair.split('=');
    if (!code || !kind || rest.length > 0) {
      throw usageError(
        'BAD_CODES',
        `VIDBATCH_CODES: "${pair}" is not code=outcome, such as channel_busy=not-sent`,
      );
    }
    codes[code] = kind;
  }
  return codes;
}
