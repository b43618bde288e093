/** Reads the environment: variables, secrets in files, `.env`, and the credentials of the board. */
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { messageOf, usageError, VidbatchError } from './errors.ts';

/** The values of these variables, trimmed. An empty variable counts as not set. */
export function readVariables<Name extends string>(
  names: readonly Name[],
  env: NodeJS.ProcessEnv,
): Record<Name, string | undefined> {
  return Object.fromEntries(names.map((name) => [name, env[name]?.trim() || undefined])) as Record<
    Name,
    string | undefined
  >;
}

/** A secret is given directly, or as the path of a file that holds it (Docker and Kubernetes secrets). */
export function secret(
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
      `Name a file that this user can read and that holds only the value, or set ${name}.`,
    );
  }
}

/**
 * Refuses a value that a shell would have changed: `docker --env-file` keeps quotes, and does not replace `${NAME}`. The
 * error shows such a name, and nothing else of the value.
 */
export function plain(name: string, value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (/^["'`]|["'`]$/.test(value))
    throw usageError(
      'QUOTED_VALUE',
      `${name}: the value has quotes around it, and they would become part of it`,
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

export const BOARD_VARIABLES = [
  'VIDBATCH_BOARD_USER',
  'VIDBATCH_BOARD_PASSWORD',
  'VIDBATCH_BOARD_PASSWORD_FILE',
] as const;

/**
 * The user that may use the board; undefined: every request is answered. Only `board` reads this, so a mistake in it never
 * stops a worker.
 * @throws VidbatchError exit 2 when only one of the two is set: the board would be open by mistake.
 */
export function readBoardCredentials(
  env: NodeJS.ProcessEnv = process.env,
  userFlag?: string,
): { user: string; password: string } | undefined {
  const values = readVariables(BOARD_VARIABLES, env);
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
      `${missing} is not set, but the other half of the board's credentials is set`,
      'Set both or neither. VIDBATCH_BOARD_PASSWORD_FILE may name a file that holds the password.',
    );
  }
  if (user.includes(':')) {
    throw usageError('BOARD_CREDENTIALS', 'VIDBATCH_BOARD_USER: holds a colon, which HTTP Basic forbids');
  }
  return { user, password };
}

interface EnvFile {
  values: Readonly<Record<string, string>>;
  /** The line of each name, from 1. */
  lines: ReadonlyMap<string, number>;
  /** Lines that are neither an assignment, nor a comment, nor empty. */
  strange: readonly number[];
}

/**
 * Reads `.env` as Node does, also with a byte order mark or in UTF-16, as editors on Windows write it. Undefined: the file
 * does not exist.
 * @throws VidbatchError BAD_ENV_FILE, exit 2, which shows nothing of its text.
 */
export function readEnvFile(path: string): EnvFile | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw usageError('BAD_ENV_FILE', `${path}: ${messageOf(error)}`);
  }
  const text = decode(bytes, path).replaceAll(/\r\n?/g, '\n');
  return { values: parseEnv(text) as Record<string, string>, ...findLines(text) };
}

function decode(bytes: Buffer, path: string): string {
  const encoding = encodingOf(bytes);
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw usageError('BAD_ENV_FILE', `${path}: is not valid ${encoding.toUpperCase()}`, 'Save it as UTF-8.');
  }
}

/** Without a byte order mark, the zero byte of the first Latin letter tells the order. */
function encodingOf([first, second]: Buffer): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  if (first !== 0 && second === 0) return 'utf-16le';
  return first === 0 && second !== 0 ? 'utf-16be' : 'utf-8';
}

const ASSIGNMENT = /^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*(.*)$/;

function findLines(text: string): Pick<EnvFile, 'lines' | 'strange'> {
  const lines = new Map<string, number>();
  const strange: number[] = [];
  let open: string | undefined;
  const all = text.split('\n');
  for (const [n, line] of all.entries()) {
    if (open !== undefined) {
      if (line.includes(open)) open = undefined;
      continue;
    }
    if (/^\s*(#|$)/.test(line)) continue;
    const [, name, value = ''] = ASSIGNMENT.exec(line) ?? [];
    if (name === undefined) {
      strange.push(n + 1);
      continue;
    }
    lines.set(name, n + 1);
    open = openQuote(value, all.slice(n + 1));
  }
  return { lines, strange };
}

/** A quoted value continues in the next lines until its closing quote, if there is one. */
function openQuote(value: string, rest: readonly string[]): string | undefined {
  const quote = /^["'`]/.exec(value)?.[0];
  if (quote === undefined || value.slice(1).includes(quote)) return undefined;
  return rest.some((line) => line.includes(quote)) ? quote : undefined;
}
