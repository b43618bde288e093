/** Reads the environment: variables, secrets in files, and the credentials of the board. */
import { readFileSync } from 'node:fs';
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

export const NOTIFY_VARIABLES = ['VIDBATCH_NOTIFY_SECRET', 'VIDBATCH_NOTIFY_SECRET_FILE'] as const;

/** Signs notifications to targets that have no secret of their own. */
export function readNotifySecret(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const values = readVariables(NOTIFY_VARIABLES, env);
  return secret('VIDBATCH_NOTIFY_SECRET', values.VIDBATCH_NOTIFY_SECRET, values.VIDBATCH_NOTIFY_SECRET_FILE);
}
