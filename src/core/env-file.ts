import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { messageOf, usageError } from './errors.ts';
import { likely } from './suggestion.ts';

/** Names of the environment that `.env` gave. */
const given = new Set<string>();

/** Whether `.env` gave this variable, and not the environment. */
export function isFromEnvFile(name: string): boolean {
  return given.has(name);
}

/**
 * Adds `.env` to the process environment, which wins. Must run before the flags are read: they fall back to
 * `VIDBATCH_<FLAG>`. Returns warnings about its lines. `own`: the variables that follow from no flag. `flagNames` returns the variables of all flags, and the flags
 * without a variable; it is called only for names that are not among `own`.
 */
export async function loadEnvFile(
  own: readonly string[],
  flagNames: () => Promise<{ variables: readonly string[]; without: readonly string[] }>,
  path = '.env',
): Promise<string[]> {
  const file = readEnvFile(path);
  if (file === undefined) return [];
  for (const [name, value] of Object.entries(file.values)) {
    if (process.env[name] !== undefined) continue;
    process.env[name] = value;
    given.add(name);
  }
  const others = [...file.lines].filter(([name]) => /^VIDBATCH_/i.test(name) && !own.includes(name));
  const { variables, without } = others.length === 0 ? { variables: [], without: [] } : await flagNames();
  const known = [...own, ...variables];
  return [
    ...file.strange.map(
      (line) => `${path}:${line}: is not an assignment such as NAME=value; the line is ignored`,
    ),
    ...others
      .filter(([name]) => !known.includes(name))
      .map(([name, line]) => {
        const flag = `--${name
          .replace(/^VIDBATCH_/i, '')
          .toLowerCase()
          .replaceAll('_', '-')}`;
        if (without.includes(flag))
          return `${path}:${line}: ${flag} has no variable; give it with each command that needs it`;
        const meant = likely(name, known);
        return `${path}:${line}: vidbatch has no variable ${name}${meant === undefined ? '' : `; did you mean ${meant}?`}`;
      }),
  ];
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
    throw usageError(
      'BAD_ENV_FILE',
      `${path} cannot be read: ${messageOf(error)}`,
      'Make it a file that this user can read, or move it away.',
    );
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
