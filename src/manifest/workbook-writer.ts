import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ZipFile } from 'yazl';
import { refusal } from '../core/errors.ts';
import { excerpt } from '../core/text.ts';
import { formatCount } from '../core/units.ts';
import { nameOfColumn } from './sheet-records.ts';

/** What a sheet of Excel can hold. Excel calls a larger file damaged. */
const MOST = { rows: 1_048_576, columns: 16_384, characters: 32_767 };

const HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';
const MAIN = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main';
const OFFICE = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';
const PACKAGE = 'http://schemas.openxmlformats.org/package/2006';
const TYPES = 'application/vnd.openxmlformats-officedocument.spreadsheetml';

/** All parts but the sheet. Cell format 1 is text, so that a spreadsheet makes no number or date of what a person types. */
const PARTS: Readonly<Record<string, string>> = {
  '[Content_Types].xml': `${HEAD}<Types xmlns="${PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="${TYPES}.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="${TYPES}.worksheet+xml"/><Override PartName="/xl/styles.xml" ContentType="${TYPES}.styles+xml"/></Types>`,
  '_rels/.rels': `${HEAD}<Relationships xmlns="${PACKAGE}/relationships"><Relationship Id="rId1" Type="${OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
  'xl/workbook.xml': `${HEAD}<workbook xmlns="${MAIN}" xmlns:r="${OFFICE}"><sheets><sheet name="rows" sheetId="1" r:id="rId1"/></sheets></workbook>`,
  'xl/_rels/workbook.xml.rels': `${HEAD}<Relationships xmlns="${PACKAGE}/relationships"><Relationship Id="rId1" Type="${OFFICE}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="${OFFICE}/styles" Target="styles.xml"/></Relationships>`,
  'xl/styles.xml': `${HEAD}<styleSheet xmlns="${MAIN}"><fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders><cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="2"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/><xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>`,
};

/**
 * Writes an Excel workbook of one sheet, in which every cell is text. The memory that it needs does not
 * grow with the number of rows, because each cell has its own text, and none is shared.
 * @throws VidbatchError exit 3 for a row or a cell that a sheet cannot hold.
 */
export async function writeWorkbook(
  records: AsyncIterable<readonly string[]>,
  output: Writable,
): Promise<void> {
  const zip = new ZipFile();
  const sheet = Readable.from(sheetXml(records), { objectMode: false });
  const failed = new AbortController();
  // Neither the zip nor its stream hears of an error of the sheet.
  sheet.on('error', (error) => failed.abort(error));
  zip.on('error', (error: Error) => failed.abort(error));
  for (const [name, text] of Object.entries(PARTS)) zip.addBuffer(Buffer.from(text), name);
  zip.addReadStream(sheet, 'xl/worksheets/sheet1.xml');
  zip.end();
  try {
    await pipeline(zip.outputStream, output, { signal: failed.signal });
  } catch (error) {
    sheet.destroy();
    throw failed.signal.aborted ? failed.signal.reason : error;
  }
}

/** Rows are passed on together: a small piece costs as much as a large one. */
const PIECE = 64 * 1024;

async function* sheetXml(records: AsyncIterable<readonly string[]>): AsyncGenerator<string> {
  let piece = '';
  let number = 0;
  for await (const cells of records) {
    number += 1;
    if (number === 1) piece += beginning(cells.length);
    piece += rowXml(cells, number);
    if (piece.length < PIECE) continue;
    yield piece;
    piece = '';
  }
  const quiet = `<ignoredErrors><ignoredError sqref="A1:${nameOfColumn(MOST.columns - 1)}${MOST.rows}" numberStoredAsText="1"/></ignoredErrors>`;
  yield `${piece}</sheetData>${quiet}</worksheet>`;
}

/** The first row stays in sight. */
function beginning(columns: number): string {
  if (columns > MOST.columns)
    throw tooMuch(`the export has ${formatCount(columns)} columns, and a sheet ${formatCount(MOST.columns)}`);
  const pane = '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>';
  return `${HEAD}<worksheet xmlns="${MAIN}"><sheetViews><sheetView workbookViewId="0">${pane}</sheetView></sheetViews><cols><col min="1" max="${columns}" width="20" style="1" customWidth="1"/></cols><sheetData>`;
}

function rowXml(cells: readonly string[], number: number): string {
  if (number > MOST.rows)
    throw tooMuch(`the export has more than ${formatCount(MOST.rows)} rows, which is all that a sheet holds`);
  let row = `<row r="${number}">`;
  for (const [column, text] of cells.entries()) {
    if (text === '') continue;
    const reference = `${nameOfColumn(column)}${number}`;
    if (text.length > MOST.characters)
      throw tooMuch(
        `the cell ${reference} would hold ${formatCount(text.length)} characters, and a sheet holds ${formatCount(MOST.characters)}: ${excerpt(text)}`,
      );
    row += `<c r="${reference}" s="1" t="inlineStr"><is><t xml:space="preserve">${xmlText(text)}</t></is></c>`;
  }
  return `${row}</row>`;
}

function tooMuch(what: string): Error {
  return refusal('SHEET_TOO_SMALL', what, 'Export it as CSV or JSONL: --format csv.');
}

/** What XML cannot hold or would change, and a text that looks like its escape. */
// oxlint-disable-next-line no-control-regex -- control characters are what is being escaped
const ESCAPED = /[\u0000-\u0008\u000b-\u001f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)/g;
const NAMED: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

function xmlText(text: string): string {
  return text
    .replaceAll(
      ESCAPED,
      (character) => `_x${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}_`,
    )
    .replaceAll(/[&<>]/g, (character) => NAMED[character] ?? character);
}
