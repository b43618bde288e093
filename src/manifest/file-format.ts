import { extname } from 'node:path';
import { refusal, usageError, type VidbatchError } from '../core/errors.ts';
import type { ManifestFormat } from './entry.ts';
import type { ByteSource } from './bytes.ts';

/** Formats of files. The rows of a workbook are read as those of a CSV. */
export type FileFormat = ManifestFormat | 'xlsx';

const BY_EXTENSION: Readonly<Record<string, FileFormat>> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.json': 'json',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.xlsx': 'xlsx',
  '.xlsm': 'xlsx',
};

const FORMATS: readonly FileFormat[] = ['csv', 'json', 'jsonl', 'xlsx'];

/** The given format, or the format of the file's extension. @throws usageError for an unknown format. */
export function formatOf(source: string, given: string | undefined): FileFormat | undefined {
  if (given === undefined) return BY_EXTENSION[extname(source).toLowerCase()];
  const format = FORMATS.find((known) => known === given);
  if (format !== undefined) return format;
  throw usageError(
    'format-unknown',
    `--format ${given}: no such format`,
    `Allowed are ${FORMATS.join(', ')}.`,
  );
}

export function formatUnknown(source: string): VidbatchError {
  const what = source === '-' ? 'standard input has no extension' : `${source} has none of the extensions`;
  const extensions = Object.keys(BY_EXTENSION).join(' ');
  return usageError(
    'format-unknown',
    source === '-' ? `${what} that tells its format` : `${what} ${extensions}`,
    `Say what it is: --format ${FORMATS.join('|')}.`,
  );
}

export function isTabSeparated(source: string): boolean {
  return extname(source).toLowerCase() === '.tsv';
}

const SAVE = 'Open it in a spreadsheet, and save the sheet as "CSV UTF-8".';
const UNPACK = 'Unpack it first, and name what was in it.';

interface Kind {
  /** Its first bytes, in Latin-1. */
  starts: string;
  what: string;
  hint: string;
}

const KINDS: readonly Kind[] = [
  { starts: '\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1', what: 'an Excel workbook (.xls)', hint: SAVE },
  { starts: '\x1F\x8B', what: 'compressed with gzip', hint: UNPACK },
  { starts: 'BZh', what: 'compressed with bzip2', hint: UNPACK },
  { starts: '\x28\xB5\x2F\xFD', what: 'compressed with zstd', hint: UNPACK },
  { starts: '\xFD7zXZ\0', what: 'compressed with xz', hint: UNPACK },
  { starts: '7z\xBC\xAF\x27\x1C', what: 'a 7z archive', hint: UNPACK },
  { starts: 'Rar!\x1A\x07', what: 'a RAR archive', hint: UNPACK },
  { starts: '%PDF-', what: 'a PDF', hint: 'Export the table itself as "CSV UTF-8".' },
];

/** Refuses a file whose first bytes belong to another format. */
export function refuseOtherFormat({
  name,
  head,
}: Pick<ByteSource, 'name' | 'head'>): VidbatchError | undefined {
  const start = head.toString('latin1');
  const extension = extname(name).toLowerCase();
  if (start.startsWith('PK\x03\x04')) return zipped(name, start, extension);
  const kind = KINDS.find(({ starts }) => start.startsWith(starts));
  if (kind !== undefined) return refusal('manifest-binary', `${name} is ${kind.what}, not text`, kind.hint);
  // In UTF-16 every second byte is a NUL.
  const text = start.replaceAll('\0', '').replace(/^(?:\xEF\xBB\xBF|\xFF\xFE|\xFE\xFF)/, '');
  if (/^\s*<(?:!doctype html|html|head|meta|table)\b/i.test(text)) {
    return refusal(
      'manifest-html',
      `${name} is a web page (HTML), not a manifest`,
      `If you saved a sheet so: ${SAVE} If you downloaded it: perhaps the site wants you to log in.`,
    );
  }
  if (/^\s*<\?xml\b/i.test(text)) return refusal('manifest-xml', `${name} is XML, not a manifest`, SAVE);
  // Brotli has no mark of its own.
  if (extension === '.br')
    return refusal('manifest-binary', `${name} has the extension of a file compressed with brotli`, UNPACK);
  return undefined;
}

function zipped(name: string, start: string, extension: string): VidbatchError {
  const isWorkbook =
    extension.startsWith('.xls') || start.includes('xl/') || start.includes('[Content_Types]');
  if (isWorkbook)
    return refusal('manifest-binary', `${name} is an Excel workbook, not text`, 'Say so: --format xlsx.');
  return refusal(
    'manifest-binary',
    `${name} is a zip archive, or an Excel workbook, not text`,
    'An archive: unpack it first. A workbook: --format xlsx.',
  );
}
