import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { SaxesParser, type SaxesTagPlain } from 'saxes';
import yauzl, { type Entry, type ZipFile } from 'yauzl';
import { messageOf, refusal, usageError } from '../core/errors.ts';
import { excerpt } from '../core/text.ts';
import type { Calendar } from './sheet-date.ts';

/** What a number in a cell is shown as. */
type NumberFormat = 'plain' | 'date' | { zeros: number };

/** The parts of an Excel workbook (.xlsx) that its cells refer to. */
export interface Workbook {
  strings: readonly string[];
  /** By the style of a cell. */
  formats: readonly NumberFormat[];
  calendar: Calendar;
  /** The XML of the chosen sheet. */
  sheet: () => Promise<Readable>;
  close: () => void;
}

/** Inflated, a part of a workbook may be this large: a guard against files that are made to fill the memory. */
const LARGEST_PART = 1024 * 1024 * 1024;

interface Sheet {
  name: string;
  id: string;
  hidden: boolean;
}

/**
 * Opens a workbook and chooses a sheet: the named one, or the only one that is not hidden.
 * @throws VidbatchError exit 2 for a sheet that is not there or not chosen, exit 3 for a file that cannot be read.
 */
export async function openWorkbook(path: string, wanted: string | undefined): Promise<Workbook> {
  const zip = await openZip(path);
  try {
    const entries = await listEntries(zip);
    const part = async (name: string): Promise<Readable | undefined> => {
      const entry = entries.get(name);
      return entry && openEntry(zip, entry);
    };
    const { sheets, calendar } = await readSheets(await part('xl/workbook.xml'));
    const { id } = chooseSheet(path, sheets, wanted);
    const target = (await readTargets(await part('xl/_rels/workbook.xml.rels'))).get(id);
    const name = target?.startsWith('/') === true ? target.slice(1) : `xl/${target ?? ''}`;
    if (!entries.has(name)) throw new Error('the sheet is missing in the file');
    return {
      strings: await readStrings(await part('xl/sharedStrings.xml')),
      formats: await readFormats(await part('xl/styles.xml')),
      calendar,
      sheet: async () => (await part(name)) ?? Promise.reject(new Error('the sheet is missing in the file')),
      close: () => zip.close(),
    };
  } catch (error) {
    zip.close();
    throw unreadable(path, error);
  }
}

/** The error for a workbook that cannot be read; an error that says what to do stays as it is. */
export function unreadable(path: string, error: unknown): Error {
  if (error instanceof Error && error.name === 'VidbatchError') return error;
  return refusal(
    'workbook-unreadable',
    `${path} cannot be read as an Excel workbook: ${messageOf(error)}`,
    'Open it in a spreadsheet and save it again, as .xlsx or as "CSV UTF-8".',
  );
}

async function openZip(path: string): Promise<ZipFile> {
  const open = promisify<string, { lazyEntries: boolean; autoClose: boolean }, ZipFile>(yauzl.open);
  return open(path, { lazyEntries: true, autoClose: false }).catch((error: unknown) => {
    throw unreadable(path, error);
  });
}

function listEntries(zip: ZipFile): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  return new Promise((resolve, reject) => {
    zip.on('error', reject);
    zip.on('end', () => resolve(entries));
    zip.on('entry', (entry: Entry) => {
      entries.set(entry.fileName, entry);
      zip.readEntry();
    });
    zip.readEntry();
  });
}

function openEntry(zip: ZipFile, entry: Entry): Promise<Readable> {
  if (entry.uncompressedSize > LARGEST_PART)
    throw new Error(`its part ${excerpt(entry.fileName)} is larger than ${LARGEST_PART} bytes`);
  return new Promise((resolve, reject) => {
    zip.openReadStream(entry, (error, stream) => (error === null ? resolve(stream) : reject(error)));
  });
}

type Handlers = Partial<{
  open: (tag: SaxesTagPlain) => void;
  close: (tag: SaxesTagPlain) => void;
  text: (text: string) => void;
}>;

/** Reads XML to its end. A document type is refused, because it can define entities that grow. */
async function readXml(stream: Readable, { open, close, text }: Handlers): Promise<void> {
  const parser = new SaxesParser();
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('doctype', () => {
    throw new Error('its XML has a document type');
  });
  if (open !== undefined) parser.on('opentag', open);
  if (close !== undefined) parser.on('closetag', close);
  if (text !== undefined) parser.on('text', text);
  stream.setEncoding('utf8');
  for await (const chunk of stream) parser.write(chunk as string);
  parser.close();
}

/** The name without a prefix: some programs write `x:row`. */
export function tagName({ name }: SaxesTagPlain): string {
  return name.slice(name.indexOf(':') + 1);
}

async function readSheets(stream: Readable | undefined): Promise<{ sheets: Sheet[]; calendar: Calendar }> {
  const sheets: Sheet[] = [];
  let calendar: Calendar = 1900;
  if (stream === undefined) throw new Error('it has no list of sheets');
  await readXml(stream, {
    open(tag) {
      if (/^(1|true)$/.test(tag.attributes['date1904'] ?? '')) calendar = 1904;
      if (tagName(tag) !== 'sheet') return;
      const { name = '', state, ...attributes } = tag.attributes;
      const id = Object.entries(attributes).find(([key]) => key.endsWith(':id'))?.[1] ?? '';
      sheets.push({ name, id, hidden: state === 'hidden' || state === 'veryHidden' });
    },
  });
  return { sheets, calendar };
}

function chooseSheet(path: string, sheets: readonly Sheet[], wanted: string | undefined): Sheet {
  const shown = sheets.filter(({ hidden }) => !hidden);
  const names = shown.map(({ name }) => excerpt(name)).join(', ');
  const found = wanted === undefined ? shown : sheets.filter(({ name }) => name === wanted);
  const [sheet, ...others] = found;
  if (sheet !== undefined && others.length === 0) return sheet;
  throw usageError(
    wanted === undefined ? 'SHEET_NEEDED' : 'NO_SUCH_SHEET',
    wanted === undefined
      ? `${path} has ${shown.length} sheets: ${names}`
      : `--sheet ${wanted}: ${path} has no sheet of this name; it has ${names}`,
    'Say which one holds the rows: --sheet NAME.',
  );
}

async function readTargets(stream: Readable | undefined): Promise<Map<string, string>> {
  const targets = new Map<string, string>();
  if (stream === undefined) return targets;
  await readXml(stream, {
    open(tag) {
      const { Id: id, Target: target } = tag.attributes;
      if (tagName(tag) === 'Relationship' && id !== undefined && target !== undefined)
        targets.set(id, target);
    },
  });
  return targets;
}

/** Texts that several cells share. Text in several fonts is one text; how it is pronounced (`rPh`) is not a part of it. */
async function readStrings(stream: Readable | undefined): Promise<string[]> {
  const strings: string[] = [];
  if (stream === undefined) return strings;
  let text = '';
  let inText = false;
  let spoken = 0;
  await readXml(stream, {
    open(tag) {
      const name = tagName(tag);
      if (name === 'si') text = '';
      if (name === 'rPh') spoken += 1;
      inText = name === 't' && spoken === 0;
    },
    text(part) {
      if (inText) text += part;
    },
    close(tag) {
      const name = tagName(tag);
      if (name === 't') inText = false;
      if (name === 'rPh') spoken -= 1;
      if (name === 'si') strings.push(unescapeText(text));
    },
  });
  return strings;
}

/** `_x000D_` stands for a character that XML cannot hold. */
export function unescapeText(text: string): string {
  return text.replaceAll(/_x([0-9A-Fa-f]{4})_/g, (_, code: string) =>
    String.fromCharCode(parseInt(code, 16)),
  );
}

/** Formats that every workbook has: dates and times (also of Chinese and Japanese versions). */
const DATES = [
  [14, 22],
  [27, 36],
  [45, 47],
  [50, 58],
] as const;

async function readFormats(stream: Readable | undefined): Promise<NumberFormat[]> {
  const custom = new Map<string, string>();
  const formats: NumberFormat[] = [];
  if (stream === undefined) return formats;
  let inCells = false;
  await readXml(stream, {
    open(tag) {
      const name = tagName(tag);
      const { numFmtId = '0', formatCode = '' } = tag.attributes;
      if (name === 'numFmt') custom.set(numFmtId, formatCode);
      if (name === 'cellXfs') inCells = true;
      if (name === 'xf' && inCells) formats.push(formatOf(Number(numFmtId), custom.get(numFmtId)));
    },
    close(tag) {
      if (tagName(tag) === 'cellXfs') inCells = false;
    },
  });
  return formats;
}

function formatOf(id: number, code: string | undefined): NumberFormat {
  if (DATES.some(([from, to]) => id >= from && id <= to)) return 'date';
  if (code === undefined) return 'plain';
  // Without texts, escaped characters and conditions such as [Red].
  const bare = code.replaceAll(/"[^"]*"|\\.|\[(?!h|m|s)[^\]]*\]/gi, '');
  if (/[ymdhs]/i.test(bare)) return 'date';
  return /^0+$/.test(bare) ? { zeros: bare.length } : 'plain';
}
