import type { FileLine } from '../../ledger/audit/provider-lines.ts';
import { basename } from 'node:path';
import { usageError, VidbatchError } from '../../core/errors.ts';
import type { ColumnMap } from '../../manifest/columns.ts';
import { DATE_RULE, type Fault, type ManifestEntry, type RawRow } from '../../manifest/entry.ts';
import { isPlainObject } from '../../core/json.ts';
import { openManifest } from '../../manifest/manifest.ts';
import { checkFields, findHeaders, type Field, type Headers } from './field.ts';
import { defaultProfile } from '../../provider/profile/load.ts';
import { TaskWords } from '../../provider/task-words.ts';
import { readRecord } from './provider-record.ts';
import { createHash } from 'node:crypto';
import { REDACTED, redactor } from '../../provider/api-key.ts';

export interface FileOptions {
  format?: string;
  encoding?: string;
  delimiter?: string;
  map: ColumnMap;
  /** For times without a zone. */
  zone: string | undefined;
  /** For amounts without a currency. */
  currency: string | undefined;
  /** What a negative amount means if no column says it; undefined: a refund, if the file also has positive amounts. */
  negative: 'charge' | 'refund' | undefined;
  /** The provider's words for a task's status; those of the default profile. */
  words?: readonly TaskWords[];
  /** A person has given the time that the files cover. Then a file without entries means that nothing happened. */
  mayBeEmpty?: boolean;
}

/** A task list, an export or a bill of the provider, opened. */
interface ProviderFile {
  name: string;
  format: string;
  encoding: string;
  warnings: string[];
  /** The headers or keys that were read so far: at most a thousand, and all that are mapped. */
  headers: ReadonlySet<string>;
  /** Whether its columns are those of a list of tasks, and of a bill. A file without columns is neither. */
  listed: boolean;
  billed: boolean;
  /** Read them once. Memory does not depend on their number. */
  lines: AsyncIterable<FileLine>;
}

/**
 * @throws VidbatchError exit 2 or 3 when it cannot be opened or its columns are ambiguous.
 */
export async function openProviderFile(path: string, options: FileOptions): Promise<ProviderFile> {
  const { map, format, encoding, delimiter } = options;
  checkFields(map);
  const manifest = await openManifest(path, {
    wrapped: true,
    ...(format === undefined ? {} : { format }),
    ...(encoding === undefined ? {} : { encoding }),
    ...(delimiter === undefined ? {} : { delimiter }),
  }).catch((error: unknown) => {
    throw asProviderFile(error, path);
  });
  const broken = manifest.faults.find(({ severity }) => severity === 'error');
  if (broken !== undefined) throw usageError('FILE_UNREADABLE', `${path}:${broken.line} ${broken.message}`);
  const columns = findHeaders(manifest.columns ?? [], map, path);
  if (manifest.columns !== undefined && !namesTasks(columns)) throw noTaskIds(path, manifest.columns);
  const headers = new Set(manifest.columns);
  return {
    name: basename(path),
    format: manifest.format,
    encoding: manifest.encoding,
    warnings: manifest.faults.map(({ line, message }) => `${path}:${line} ${message}`),
    headers,
    listed: isListed(columns),
    billed: columns.of.has('amount'),
    lines: linesOf(path, manifest.entries, headers, options),
  };
}

async function* linesOf(
  path: string,
  entries: AsyncIterable<ManifestEntry>,
  seen: Set<string>,
  { map, zone, currency, negative, words = defaultWords(), mayBeEmpty = false }: FileOptions,
): AsyncGenerator<FileLine> {
  const known = new Map<string, Headers>();
  let [empty, named] = [true, false];
  for await (const { line, raw: row, faults } of entries) {
    const raw = flat(row);
    const names = Object.keys(raw);
    const signature = names.join('\n');
    const headers = known.get(signature) ?? findHeaders(names, map, path);
    // Rows of JSON may each have other keys.
    if (!known.has(signature)) {
      if (known.size < 100) known.set(signature, headers);
      for (const name of names) if (seen.size < 1000 || map.has(name)) seen.add(name);
    }
    const fault = faults.find((one) => one.severity === 'error' && !isTime(one, headers));
    const options = {
      where: `${path}:${line}`,
      zone,
      currency,
      negative: negative ?? ('refund' as const),
      words,
    };
    const read =
      fault === undefined
        ? readRecord(raw, headers, options)
        : { ...readRecord({}, headers, options), fault: fault.message };
    empty = false;
    named ||= namesTasks(headers) || read.aside;
    yield { line, raw: JSON.stringify(row), listed: isListed(headers), read };
  }
  if (empty && !mayBeEmpty) throw noEntries(path);
  // Only now are all keys of JSON known. An unreadable line has no keys; it is reported by itself.
  if (!empty && !named && seen.size > 0) throw noTaskIds(path, [...seen]);
}

function defaultWords(): TaskWords[] {
  return [new TaskWords(defaultProfile().task)];
}

/** A cell of a workbook that is a date, where a time is expected or nothing is read. */
function isTime({ rule, column }: Fault, { of }: Headers): boolean {
  if (rule !== DATE_RULE || column === undefined) return false;
  return [...of].every(([field, header]) => header !== column || TIMES.includes(field));
}

const TIMES: readonly Field[] = ['created_at', 'billed_at'];

/** It has the status of tasks, or no amounts. */
function isListed({ of }: Headers): boolean {
  return of.has('status') || !of.has('amount');
}

function namesTasks({ of }: Headers): boolean {
  return of.has('task_id') || of.has('request_id');
}

/** The codes and hints for manifests would mislead here. */
function asProviderFile(error: unknown, path: string): unknown {
  if (!(error instanceof VidbatchError)) return error;
  if (error.code === 'manifest-empty') return noEntries(path);
  const told = `--provider-file: ${error.message}`;
  if (error.code === 'manifest-not-found') return usageError('FILE_NOT_FOUND', told, error.hint);
  return error.code === 'manifest-is-folder'
    ? usageError('FILE_UNREADABLE', told, 'Name the files in it.')
    : error;
}

/** A wrong file or a page that did not load would otherwise agree with everything. */
function noEntries(path: string): VidbatchError {
  return usageError(
    'NO_ENTRIES',
    `${path}: it has no task and no charge, so nothing was compared`,
    'Check that it is a task list or a bill. If nothing happened in the time of the file, give that time: --since, --until.',
  );
}

function noTaskIds(path: string, columns: readonly string[]): VidbatchError {
  return usageError(
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

/** API keys of this kind of gateway. A provider's file may have a column of them. */
const KEY = /\bsk-[A-Za-z0-9_-]{8,}/g;

/** Removes our own key from a text, and everything that looks like a key. */
export function withoutKeys(apiKey: string | undefined): (text: string) => string {
  const ours = redactor(apiKey);
  return (text) => ours(text).replace(KEY, REDACTED);
}

/**
 * A line of a provider's file as it may be stored. A client or charge that is named by a key gets a short hash, so that
 * it still differs from others. Request ids lose the key, as they do in the ledger. Task ids stay unchanged, because the
 * ledger stores them unchanged.
 */
export function lineWithoutKeys<Line extends FileLine>(line: Line, redact: (text: string) => string): Line {
  const { client, chargeId, requestId, model, fault } = line.read;
  const text = (value: string | null): string | null => (value === null ? null : redact(value));
  const name = (value: string | null): string | null => {
    const redacted = text(value);
    if (value === null || redacted === value) return value;
    return `${redacted} ${createHash('sha256').update(value).digest('hex').slice(0, 8)}`;
  };
  return {
    ...line,
    raw: redact(line.raw),
    read: {
      ...line.read,
      client: name(client),
      chargeId: name(chargeId),
      requestId: text(requestId),
      model: text(model),
      fault: text(fault),
    },
  };
}
