import type { Readable } from 'node:stream';
import { SaxesParser } from 'saxes';
import { DATE_RULE, faultAt, type Fault } from './entry.ts';
import type { CsvRecord } from './csv-records.ts';
import { dateText } from './sheet-date.ts';
import { tagName, unescapeText, unreadable, type Workbook } from './workbook.ts';

/** A sheet has no more columns. */
const MOST_COLUMNS = 16_384;

/** The rows of a sheet as records of text cells, as if a CSV had been read; `line` is the number of the row. */
export async function* sheetRecords(
  path: string,
  workbook: Workbook,
  skipRows: number,
): AsyncGenerator<CsvRecord, void, void> {
  const rows = new RowReader(workbook, skipRows);
  let width = 0;
  function* taken(): Generator<CsvRecord, void, void> {
    for (const record of rows.take()) {
      if (record.line <= skipRows) continue;
      // A sheet has no empty cells at the end of a row. The first row is the header.
      if (width === 0) width = record.cells.length;
      while (record.cells.length < width) record.cells.push('');
      yield record;
    }
  }
  const parser = new SaxesParser();
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('doctype', () => {
    throw new Error('its XML has a document type');
  });
  parser.on('opentag', (tag) => rows.open(tagName(tag), tag.attributes));
  parser.on('text', (text) => rows.text(text));
  parser.on('closetag', (tag) => rows.close(tagName(tag)));
  try {
    const stream: Readable = (await workbook.sheet()).setEncoding('utf8');
    for await (const chunk of stream) {
      parser.write(chunk as string);
      yield* taken();
    }
    parser.close();
  } catch (error) {
    throw unreadable(path, error);
  }
  yield* taken();
}

/** Collects the cells of the rows while the XML of a sheet is parsed. */
class RowReader {
  readonly #workbook: Workbook;
  readonly #skipRows: number;
  readonly #records: CsvRecord[] = [];
  #header: readonly string[] | undefined;
  #row = 0;
  #cells: string[] = [];
  #faults: Fault[] = [];
  #column = -1;
  #type = 'n';
  #style = 0;
  #formula = false;
  #value = '';
  #inValue = false;
  #spoken = 0;

  constructor(workbook: Workbook, skipRows: number) {
    this.#workbook = workbook;
    this.#skipRows = skipRows;
  }

  /** The rows that have ended. */
  take(): CsvRecord[] {
    return this.#records.splice(0);
  }

  open(name: string, attributes: Record<string, string>): void {
    switch (name) {
      case 'row':
        this.#row = Number(attributes['r'] ?? this.#row + 1);
        this.#cells = [];
        this.#faults = [];
        this.#column = -1;
        break;
      case 'c':
        this.#column = columnOf(attributes['r']) ?? this.#column + 1;
        this.#type = attributes['t'] ?? 'n';
        this.#style = Number(attributes['s'] ?? 0);
        this.#formula = false;
        this.#value = '';
        break;
      case 'f':
        this.#formula = true;
        break;
      case 'rPh':
        this.#spoken += 1;
        break;
      case 'v':
      case 't':
        this.#inValue = this.#spoken === 0;
        break;
      default:
    }
  }

  text(text: string): void {
    if (this.#inValue) this.#value += text;
  }

  close(name: string): void {
    if (name === 'v' || name === 't') this.#inValue = false;
    if (name === 'rPh') this.#spoken -= 1;
    if (name === 'c') this.#endCell();
    if (name === 'row') this.#endRow();
  }

  #endRow(): void {
    this.#records.push({ line: this.#row, cells: this.#cells, faults: this.#faults });
    if (this.#row > this.#skipRows && this.#cells.some((cell) => cell.trim() !== ''))
      this.#header ??= this.#cells.map((cell) => cell.trim());
  }

  #endCell(): void {
    const { text = '', rule, message = '' } = this.#read();
    if (this.#column < MOST_COLUMNS && text !== '') {
      while (this.#cells.length < this.#column) this.#cells.push('');
      this.#cells[this.#column] = text;
    }
    if (rule === undefined) return;
    const cell = `${nameOfColumn(this.#column)}${this.#row}`;
    const column = this.#header?.[this.#column] ?? '';
    this.#faults.push(faultAt(this.#row, rule, `${cell} ${message}`, column === '' ? {} : { column }));
  }

  #read(): CellRead {
    if (this.#formula)
      return { rule: 'cell-formula', message: 'is a formula: copy the cells, and paste them as values' };
    const value = this.#value;
    switch (this.#type) {
      case 's':
        return { text: this.#workbook.strings[Number(value)] ?? '' };
      case 'inlineStr':
      case 'str':
        return { text: unescapeText(value) };
      case 'b':
        return { text: value === '1' ? 'true' : 'false' };
      case 'e':
        return { rule: 'cell-error', message: `holds the error ${value}` };
      case 'd':
        return { text: value, ...DATE };
      default:
        return this.#readNumber(value);
    }
  }

  #readNumber(value: string): CellRead {
    if (value === '') return {};
    const format = this.#workbook.formats[this.#style] ?? 'plain';
    if (format === 'date') return { text: dateText(value, this.#workbook.calendar), ...DATE };
    // Digits and exponents stay as they are written, so that no digit of an id is lost. A fraction has 15 digits in a
    // spreadsheet: 16.1 may be stored as 16.100000000000001.
    const plain = /^-?\d+\.\d+$/.test(value) ? String(Number(Number(value).toPrecision(15))) : value;
    return {
      text: typeof format === 'object' && /^\d+$/.test(plain) ? plain.padStart(format.zeros, '0') : plain,
    };
  }
}

/** The text of a cell, and what is wrong with it. */
interface CellRead {
  text?: string;
  rule?: string;
  message?: string;
}

const DATE = {
  rule: DATE_RULE,
  message:
    'is a date or a time (a spreadsheet makes one of 16:9 and of 1-2): format the column as text, and write the cell again',
};

/** `B7` → 1. */
function columnOf(reference: string | undefined): number | undefined {
  const letters = /^([A-Z]{1,3})\d+$/.exec(reference ?? '')?.[1];
  if (letters === undefined) return undefined;
  return letters.split('').reduce((column, letter) => column * 26 + letter.charCodeAt(0) - 64, 0) - 1;
}

/** 1 → `B`. */
export function nameOfColumn(column: number): string {
  const rest = Math.floor(column / 26);
  return `${rest > 0 ? nameOfColumn(rest - 1) : ''}${String.fromCharCode(65 + (column % 26))}`;
}
