import { extname } from 'node:path';
import { usageError, type VidbatchError } from '../core/errors.ts';
import type { ManifestFormat } from './entry.ts';

const BY_EXTENSION: Readonly<Record<string, ManifestFormat>> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.json': 'json',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
};

const FORMATS: readonly ManifestFormat[] = ['csv', 'json', 'jsonl'];

/** The format as given, else by the file's extension; `undefined` when neither tells. Throws for an unknown one. */
export function formatOf(source: string, given: string | undefined): ManifestFormat | undefined {
  if (given === undefined) return BY_EXTENSION[extname(source).toLowerCase()];
  const format = FORMATS.find((known) => known === given);
  if (format !== undefined) return format;
  throw usageError('format-unknown', `--format ${given}: no such format`, 'Allowed are csv, json and jsonl.');
}

export function formatUnknown(source: string): VidbatchError {
  const what = source === '-' ? 'standard input has no extension' : `${source} has none of the extensions`;
  const extensions = Object.keys(BY_EXTENSION).join(' ');
  return usageError(
    'format-unknown',
    source === '-' ? `${what} that tells its format` : `${what} ${extensions}`,
    'Say what it is: --format csv|json|jsonl.',
  );
}

/** A `.tsv` is delimited by tabs, whatever its header looks like. */
export function isTabSeparated(source: string): boolean {
  return extname(source).toLowerCase() === '.tsv';
}
