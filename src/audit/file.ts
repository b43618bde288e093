import { basename } from 'node:path';
import { usageError } from '../errors.ts';
import type { ColumnMap } from '../manifest/columns.ts';
import type { ManifestEntry, RawRow } from '../manifest/entry.ts';
import { isPlainObject } from '../manifest/json-row.ts';
import { openManifest } from '../manifest/manifest.ts';
import { checkFields, findHeaders } from './field.ts';
import type { Headers } from './field.ts';
import { readLine, unreadableLine } from './line.ts';
import type { ProviderLine } from './line.ts';

export interface FileOptions {
  format?: string;
  encoding?: string;
  delimiter?: string;
  map: ColumnMap;
  /** Of times that name none. */
  zone: string | undefined;
  /** Of amounts that name none. */
  currency: string | undefined;
  /** What a negative amount is, where no word says it; undefined: a refund, if the file has other amounts too. */
  negative: 'charge' | 'refund' | undefined;
}

export interface FileLine {
  /** 1-based. */
  line: number;
  /** The line as JSON text. */
  raw: string;
  /** It is in a list of tasks: it says how they are, or says nothing of money. */
  listed: boolean;
  read: ProviderLine;
}

/** A task list, an export or a bill of the provider, opened. */
export interface ProviderFile {
  name: string;
  format: string;
  encoding: string;
  warnings: string[];
  /** Once. Memory does not depend on their number. */
  lines: AsyncIterable<FileLine>;
}

/** @throws VidbatchError exit 2 or 3 when it cannot be opened or its columns cannot be told apart. */
export async function openProviderFile(path: string, options: FileOptions): Promise<ProviderFile> {
  const { map, format, encoding, delimiter } = options;
  checkFields(map);
  const manifest = await openManifest(path, {
    wrapped: true,
    ...(format === undefined ? {} : { format }),
    ...(encoding === undefined ? {} : { encoding }),
    ...(delimiter === undefined ? {} : { delimiter }),
  });
  const broken = manifest.faults.find(({ severity }) => severity === 'error');
  if (broken !== undefined) throw usageError('FILE_UNREADABLE', `${path}:${broken.line} ${broken.message}`);
  if (manifest.columns !== undefined)
    checkHeaders(findHeaders(manifest.columns, map, path), path, manifest.columns);
  return {
    name: basename(path),
    format: manifest.format,
    encoding: manifest.encoding,
    warnings: manifest.faults.map(({ line, message }) => `${path}:${line} ${message}`),
    lines: linesOf(path, manifest.entries, options),
  };
}

async function* linesOf(
  path: string,
  entries: AsyncIterable<ManifestEntry>,
  { map, zone, currency, negative }: FileOptions,
): AsyncGenerator<FileLine> {
  const known = new Map<string, Headers>();
  for await (const { line, raw: row, faults } of entries) {
    const fault = faults.find(({ severity }) => severity === 'error');
    const raw = flat(row);
    const names = Object.keys(raw);
    const signature = names.join('\n');
    const headers = known.get(signature) ?? findHeaders(names, map, path);
    // Rows of JSON may each have other keys.
    if (known.size < 100) known.set(signature, headers);
    yield {
      line,
      raw: JSON.stringify(row),
      listed: headers.of.has('status') || !headers.of.has('amount'),
      read:
        fault === undefined
          ? readLine(raw, headers, {
              where: `${path}:${line}`,
              zone,
              currency,
              negative: negative ?? 'refund',
            })
          : unreadableLine(fault.message),
    };
  }
}

function checkHeaders({ of }: Headers, path: string, columns: readonly string[]): void {
  if (of.has('task_id') || of.has('request_id')) return;
  throw usageError(
    'NO_TASK_IDS',
    `${path}: no column is known to hold task ids; its columns are ${columns.slice(0, 20).join(', ')}`,
    'Say which it is: --map task_id=<header>.',
  );
}

/** Objects in objects under dotted names: `properties.input`. */
function flat(row: RawRow, before = '', depth = 0): RawRow {
  return Object.fromEntries(
    Object.entries(row).flatMap(([name, value]) =>
      isPlainObject(value) && depth < 3
        ? Object.entries(flat(value, `${before}${name}.`, depth + 1))
        : [[`${before}${name}`, value]],
    ),
  );
}
