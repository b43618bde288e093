import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { messageOf, usageError } from './errors.ts';

/** What a file of variables holds. */
export interface EnvFile {
  values: Readonly<Record<string, string>>;
  /** Where each name stands, from 1. */
  lines: ReadonlyMap<string, number>;
  /** Lines that are neither an assignment, nor a comment, nor empty. */
  strange: readonly number[];
}

/**
 * Reads `.env` as Node does, also with a byte order mark or in UTF-16, as editors of Windows write it. Undefined: there
 * is no such file.
 * @throws VidbatchError BAD_ENV_FILE, exit 2, that shows nothing of its text.
 */
export function readEnvFile(path: string): EnvFile | undefined {
  const bytes = bytesOf(path);
  if (bytes === undefined) return undefined;
  const text = textOf(bytes, path).replaceAll(/\r\n?/g, '\n');
  const parsed = parseEnv(text);
  return { values: parsed as Record<string, string>, ...scan(text) };
}

function bytesOf(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw usageError('BAD_ENV_FILE', `${path}: ${messageOf(error)}`);
  }
}

function textOf(bytes: Buffer, path: string): string {
  const encoding = encodingOf(bytes);
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw usageError('BAD_ENV_FILE', `${path}: is not valid ${encoding.toUpperCase()}`, 'Save it as UTF-8.');
  }
}

/** Without a byte order mark: of the two bytes of a Latin letter, one is zero. */
function encodingOf(bytes: Buffer): 'utf-8' | 'utf-16le' | 'utf-16be' {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  if (first !== 0 && second === 0) return 'utf-16le';
  return first === 0 && second !== 0 ? 'utf-16be' : 'utf-8';
}

const ASSIGNMENT = /^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*(.*)$/;

function scan(text: string): Pick<EnvFile, 'lines' | 'strange'> {
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

/** A quoted value goes on in the next lines until its quote comes, if it does. */
function openQuote(value: string, rest: readonly string[]): string | undefined {
  const quote = /^["'`]/.exec(value)?.[0];
  if (quote === undefined || value.slice(1).includes(quote)) return undefined;
  return rest.some((line) => line.includes(quote)) ? quote : undefined;
}
