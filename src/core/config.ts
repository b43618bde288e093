import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { readEnvFile } from './env-file.ts';
import { messageOf, usageError, VidbatchError } from './errors.ts';
import type { LogLevel } from './log.ts';
import { normaliseBaseUrl } from './base-url.ts';
import { likely } from './suggestion.ts';

/** `120s`, `500ms`, `2m`, `1h`, or plain seconds → milliseconds. */
export function parseDuration(name: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)?$/.exec(text.trim());
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match?.[2] ?? 's'];
  const value = Number(match?.[1]) * (unit ?? Number.NaN);
  if (!Number.isFinite(value) || value <= 0 || value > 24 * 3_600_000) {
    throw usageError(
      'BAD_DURATION',
      `${name}: "${text}" is not a duration up to 24h, such as 500ms, 120s, 2m or 1h`,
    );
  }
  return Math.round(value);
}

/** `500000`, `64KB`, `20MB`, `2GB`; also `MiB` and the like, which mean the same → bytes. */
export function parseSize(name: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:(k|m|g|t)i?)?b?$/i.exec(text.trim());
  const unit = 1024 ** (match?.[2] === undefined ? 0 : 'kmgt'.indexOf(match[2].toLowerCase()) + 1);
  const value = Math.round(Number(match?.[1]) * unit);
  if (!Number.isSafeInteger(value) || value <= 0) {
    throw usageError('BAD_SIZE', `${name}: "${text}" is not a size such as 500KB, 20MB or 2GB`);
  }
  return value;
}

export function parseCount(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  const digits = min < 0 ? /^-?\d+$/ : /^\d+$/;
  if (!digits.test(text.trim()) || value < min || value > max) {
    throw usageError('BAD_NUMBER', `${name}: "${text}" is not a whole number from ${min} to ${max}`);
  }
  return value;
}

const text = z
  .string()
  .trim()
  .optional()
  .transform((value) => value || undefined);

const environment = z.object({
  VIDBATCH_BASE_URL: text,
  VIDBATCH_API_KEY: text,
  VIDBATCH_API_KEY_FILE: text,
  REDIS_URL: text,
  REDIS_URL_FILE: text,
  DATABASE_URL: text,
  DATABASE_URL_FILE: text,
  VIDBATCH_DATA_DIR: text,
  VIDBATCH_ALLOW_HTTP: text,
  VIDBATCH_MODELS: text,
  VIDBATCH_CODES: text,
  VIDBATCH_PROVIDER_IDEMPOTENT: text,
  VIDBATCH_OTEL: text,
  OTEL_EXPORTER_OTLP_ENDPOINT: text,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: text,
  OTEL_TRACES_EXPORTER: text,
  OTEL_SDK_DISABLED: text,
});

const boardEnvironment = z.object({
  VIDBATCH_BOARD_USER: text,
  VIDBATCH_BOARD_PASSWORD: text,
  VIDBATCH_BOARD_PASSWORD_FILE: text,
});

/** What flags say over the environment. */
export interface Overrides {
  baseUrl?: string;
  dataDir?: string;
  /** Plain http to a host that is not this machine. */
  allowHttp?: boolean;
  logLevel?: LogLevel;
  acceptForeignJournals?: string;
}

/** What the environment says. Flags are merged in by the commands; the API key leaves this object only to the wire. */
export interface Config {
  baseUrl: string | undefined;
  apiKey: string | undefined;
  redisUrl: string | undefined;
  databaseUrl: string | undefined;
  /** Absolute. */
  dataDir: string;
  /** Models beyond the known ones that this user's provider has. */
  models: string[];
  /** Provider codes that the user has moved to another outcome: code → kind. */
  codes: Record<string, string>;
  /** The user's word that the provider honours the Idempotency-Key: an unknown may be sent again under the same one. */
  providerIdempotent: boolean;
  /** The key is of the environment, and the URL that it goes to is of `.env`, which may be of somebody else. */
  keyApart?: true;
  /** Names of variables that ask for a proxy, if there are any: none is used. */
  proxies?: string[];
  /** Whether spans are made: `maybe`, if the package is installed. */
  otel?: 'yes' | 'no' | 'maybe';
  /** Of what is told while the ledger is being opened; info. */
  logLevel?: LogLevel;
  /** Who says that this ledger is the right one, although journals of another lie in the data folder. */
  acceptForeignJournals?: string;
}

/** Names of the environment that `.env` gave. */
const fromFile = new Set<string>();

/**
 * Reads `.env` of the working directory under the process environment (which wins). Called once, first of all:
 * flags fall back to `VIDBATCH_<FLAG>`. Returns what to tell of it; `flagVariables` are asked for only if some name is
 * not of this file.
 */
export async function loadDotEnv(
  flagVariables: () => Promise<readonly string[]>,
  path = '.env',
): Promise<string[]> {
  const file = readEnvFile(path);
  if (file === undefined) return [];
  for (const [name, value] of Object.entries(file.values)) {
    if (process.env[name] !== undefined) continue;
    process.env[name] = value;
    fromFile.add(name);
  }
  const own = Object.keys({ ...environment.shape, ...boardEnvironment.shape });
  const others = [...file.lines].filter(([name]) => /^VIDBATCH_/i.test(name) && !own.includes(name));
  const known = others.length === 0 ? own : [...own, ...(await flagVariables())];
  return [
    ...file.strange.map(
      (line) => `${path}:${line}: is not an assignment such as NAME=value; the line is ignored`,
    ),
    ...others
      .filter(([name]) => !known.includes(name))
      .map(([name, line]) => {
        const meant = likely(name, known);
        return `${path}:${line}: vidbatch has no variable ${name}${meant === undefined ? '' : `; did you mean ${meant}?`}`;
      }),
  ];
}

/**
 * Whether a flag's variable is there and says nothing: empty, as compose files leave it, or, for a flag without a
 * value, a no. `VIDBATCH_AGAIN=false` must not pay again.
 */
export function saysNothing(variable: string, takesValue: boolean, env = process.env): boolean {
  const value = env[variable]?.trim();
  return value === '' || (!takesValue && /^(0|false|no|off)$/i.test(value ?? ''));
}

/**
 * @throws VidbatchError exit 2 for a base URL that is not one, or that would send the key in the clear over a network.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env, over: Overrides = {}): Config {
  const values = environment.parse(env);
  const baseUrl = over.baseUrl ?? plain('VIDBATCH_BASE_URL', values.VIDBATCH_BASE_URL);
  const proxies = proxyVariables(env);
  const allowHttp = over.allowHttp ?? /^(1|true|yes|on)$/i.test(values.VIDBATCH_ALLOW_HTTP ?? '');
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
    ...(proxies.length === 0 ? {} : { proxies }),
    ...(isKeyApart(values, over) ? { keyApart: true } : {}),
    ...(over.logLevel === undefined ? {} : { logLevel: over.logLevel }),
    ...(over.acceptForeignJournals === undefined
      ? {}
      : { acceptForeignJournals: over.acceptForeignJournals }),
  };
}

function isKeyApart(values: z.output<typeof environment>, over: Overrides): boolean {
  // The flag falls back to the variable, and holds its value then.
  const fromFlag = over.baseUrl !== undefined && over.baseUrl !== values.VIDBATCH_BASE_URL;
  if (fromFlag || !fromFile.has('VIDBATCH_BASE_URL')) return false;
  const name = values.VIDBATCH_API_KEY === undefined ? 'VIDBATCH_API_KEY_FILE' : 'VIDBATCH_API_KEY';
  return values[name] !== undefined && !fromFile.has(name);
}

/** What is said before the key is sent; undefined: nothing is to be said. */
export function keyApartTold({
  keyApart,
  baseUrl,
}: Pick<Config, 'keyApart' | 'baseUrl'>): string | undefined {
  if (keyApart === undefined || baseUrl === undefined) return undefined;
  return `the API key comes from the environment, and goes to ${baseUrl}, which .env sets`;
}

/** Variables that are wrong or right together. */
const GROUPS: readonly (readonly (keyof typeof environment.shape)[])[] = [
  ['VIDBATCH_BASE_URL', 'VIDBATCH_ALLOW_HTTP'],
  ['VIDBATCH_API_KEY', 'VIDBATCH_API_KEY_FILE'],
  ['DATABASE_URL', 'DATABASE_URL_FILE'],
  ['REDIS_URL', 'REDIS_URL_FILE'],
  ['VIDBATCH_CODES'],
  ['VIDBATCH_PROVIDER_IDEMPOTENT'],
];

/** What else of the environment bears on a connection. */
export interface Surroundings {
  /** Which of the variables gave the key. */
  keyFrom: 'VIDBATCH_API_KEY' | 'VIDBATCH_API_KEY_FILE';
  /** Names of variables that ask for a proxy. */
  proxies: string[];
  /** Certificates are not checked. */
  tlsUnchecked: boolean;
}

/** The configuration as far as it can be read, and what is wrong with the rest: for whoever tells of all of it. */
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

/** URL and key, both needed by whoever speaks to the provider; and the proxies that are not used. */
export function requireProvider(config: Config): { baseUrl: string; apiKey: string; proxies?: string[] } {
  const { baseUrl, apiKey, proxies } = config;
  if (baseUrl === undefined) {
    throw usageError(
      'NO_BASE_URL',
      'the provider is not known: VIDBATCH_BASE_URL is not set',
      'For example VIDBATCH_BASE_URL=https://api.example.com, in the environment or in .env.',
    );
  }
  if (apiKey === undefined) {
    throw usageError(
      'NO_API_KEY',
      'the API key is not known: VIDBATCH_API_KEY is not set',
      'Set it in the environment, in .env, or name a file that holds it with VIDBATCH_API_KEY_FILE.',
    );
  }
  return { baseUrl, apiKey, ...(proxies === undefined ? {} : { proxies }) };
}

/**
 * Whom the board answers; undefined: whoever asks. Read for `board` alone: nothing of it may stop a worker.
 * @throws VidbatchError exit 2 for half of them, which would leave the board open where somebody meant to close it.
 */
export function readBoardCredentials(
  env: NodeJS.ProcessEnv = process.env,
  userFlag?: string,
): { user: string; password: string } | undefined {
  const values = boardEnvironment.parse(env);
  const user = userFlag ?? values.VIDBATCH_BOARD_USER;
  const password = secret(
    'VIDBATCH_BOARD_PASSWORD',
    values.VIDBATCH_BOARD_PASSWORD,
    values.VIDBATCH_BOARD_PASSWORD_FILE,
    // A password may begin with a quote.
    (_name, value) => value,
  );
  if (user === undefined && password === undefined) return undefined;
  if (user === undefined || password === undefined) {
    const missing = user === undefined ? 'VIDBATCH_BOARD_USER' : 'VIDBATCH_BOARD_PASSWORD';
    throw usageError(
      'BOARD_CREDENTIALS',
      `${missing} is not set, and the other half of the board's credentials is`,
      'Set both, or neither; the password may come from the file that VIDBATCH_BOARD_PASSWORD_FILE names.',
    );
  }
  if (user.includes(':')) {
    throw usageError('BOARD_CREDENTIALS', 'VIDBATCH_BOARD_USER: holds a colon, which HTTP Basic forbids');
  }
  return { user, password };
}

/** A secret is given directly or as the path of a file that holds it (Docker and Kubernetes secrets). */
function secret(
  name: string,
  value: string | undefined,
  file: string | undefined,
  check: typeof plain = plain,
): string | undefined {
  if (value !== undefined || file === undefined) return check(name, value);
  try {
    return check(`${name}_FILE`, readFileSync(file, 'utf8').trim() || undefined);
  } catch (error) {
    if (error instanceof VidbatchError) throw error;
    throw usageError(
      'SECRET_UNREADABLE',
      `${name}_FILE: ${messageOf(error)}`,
      `It names a file that this user can read and that holds the value alone; else set ${name}.`,
    );
  }
}

/**
 * A value that is one, and not what a shell would have made one of: `docker --env-file` keeps quotes, and replaces no
 * `${NAME}`. Shows nothing of the value but such a name.
 * @throws usageError
 */
function plain(name: string, value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (/^["'`]|["'`]$/.test(value))
    throw usageError(
      'QUOTED_VALUE',
      `${name}: the value has quotes around it, which would be a part of it`,
      'Write it without quotes: `docker run --env-file` and secrets in files keep them.',
    );
  const reference = /\$\{\w+\}/.exec(value)?.[0] ?? /^\$\w+$/.exec(value)?.[0];
  if (reference === undefined) return value;
  throw usageError(
    'UNREPLACED_VARIABLE',
    `${name}: ${reference} was not replaced by the value of that variable`,
    'Write the value itself, or let a shell replace it.',
  );
}

/** What was said, else what the exporter's own variables make likely. */
function otelOf(values: z.output<typeof environment>): 'yes' | 'no' | 'maybe' {
  if (values.VIDBATCH_OTEL !== undefined)
    return parseSwitch('VIDBATCH_OTEL', values.VIDBATCH_OTEL) ? 'yes' : 'no';
  if (/^true$/i.test(values.OTEL_SDK_DISABLED ?? '')) return 'no';
  const exporter = values.OTEL_TRACES_EXPORTER;
  if (exporter !== undefined) return exporter === 'none' ? 'no' : 'maybe';
  const endpoint = values.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? values.OTEL_EXPORTER_OTLP_ENDPOINT;
  return endpoint === undefined ? 'no' : 'maybe';
}

/** Money may hang on it: what is neither yes nor no is asked about. */
function parseSwitch(name: string, value: string | undefined): boolean {
  if (value === undefined || /^(0|false|no|off)$/i.test(value)) return false;
  if (/^(1|true|yes|on)$/i.test(value)) return true;
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
