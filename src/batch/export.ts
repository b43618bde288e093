import { VidbatchError } from '../core/errors.ts';
import { csvCell } from '../core/text.ts';
import { contentHash } from '../core/identity.ts';
import { defined } from '../core/json.ts';
import type { Profile } from '../provider/profile/schema.ts';
import type { Batch } from '../ledger/batches.ts';
import type { SubmissionView } from '../ledger/read/rows.ts';
import { readHeader } from '../manifest/csv-rows.ts';
import type { RawRow } from '../manifest/entry.ts';
import { writeName, writeSheetText, writeText, writeValue } from '../manifest/export-format.ts';
import { readRequest } from '../manifest/request/read-request.ts';
import { EARLIER_TASK_IDS, exportColumns, speaks } from '../manifest/request/field-names.ts';

type Appended = Record<(typeof exportColumns)[number], string | number | null>;

function appended(row: SubmissionView): Appended {
  return {
    batch: row.batch,
    row_key: row.key,
    line: row.line,
    state: row.state,
    task_id: row.taskId,
    provider_status: row.providerStatus,
    result_url: row.resultUrl,
    http_status: row.httpStatus,
    error_code: row.errorCode,
    error: row.error,
    attempts: row.attempts,
    submitted_at: row.submittedAt?.toISOString() ?? null,
  };
}

export interface TableOptions {
  /** Adds the column for failed tasks that were made again. */
  earlier?: boolean;
  /** That of the batch. */
  profile?: Profile;
}

/** CSV: the table with the delimiter of the input. */
export async function* exportCsv(
  batch: Pick<Batch, 'columns' | 'delimiter' | 'format'>,
  inputs: AsyncIterable<string>,
  rows: AsyncIterable<SubmissionView>,
  options: TableOptions = {},
): AsyncGenerator<string> {
  const delimiter = batch.delimiter ?? ',';
  for await (const cells of exportTable(batch, inputs, rows, writeText, options))
    yield `${cells.map((cell) => csvCell(cell, delimiter)).join(delimiter)}\r\n`;
}

/** The cells of a workbook, row by row. */
export function exportSheet(
  batch: Pick<Batch, 'columns' | 'format'>,
  inputs: AsyncIterable<string>,
  rows: AsyncIterable<SubmissionView>,
  options: TableOptions = {},
): AsyncGenerator<string[]> {
  return exportTable(batch, inputs, rows, writeSheetText, options);
}

/**
 * The columns of the input, then the export columns. An input column with the name of an export
 * column becomes `input.<name>`. Spreadsheets do not run the cells, and a submitted export has the same values again.
 *
 * A first pass over the inputs finds values without a column (of a ragged row, an earlier header, or JSON). They get columns
 * of their own. `write` makes the text of a cell.
 */
async function* exportTable(
  batch: Pick<Batch, 'columns' | 'format'>,
  inputs: AsyncIterable<string>,
  rows: AsyncIterable<SubmissionView>,
  write: (text: string) => string,
  { earlier = false, profile }: TableOptions,
): AsyncGenerator<string[]> {
  const record = { line: 1, cells: batch.columns ?? [], faults: [] };
  const header = readHeader(record).columns;
  const known = new Set(header.map(({ name }) => name));
  const beyond = await namesBeyond(known, inputs);
  const names = [...known, ...beyond];
  yield [
    ...header.map((column) => (column.kind === 'unnamed' ? '' : writeName(column.header, write))),
    ...[...beyond].map((name) => writeName(name, write)),
    ...exportColumns,
    ...(earlier ? [EARLIER_TASK_IDS] : []),
  ];
  for await (const row of rows) {
    const input = JSON.parse(row.input) as RawRow;
    if (Object.keys(input).some((name) => !known.has(name) && !beyond.has(name))) throw moved(row);
    const ours = appended(row);
    yield [
      ...cellsOf(input, names, row, { format: batch.format, profile, write }),
      ...exportColumns.map((column) => write(String(ours[column] ?? ''))),
      ...(earlier ? [write(row.earlierTaskIds.join(' '))] : []),
    ];
  }
}

async function namesBeyond(known: ReadonlySet<string>, inputs: AsyncIterable<string>): Promise<Set<string>> {
  const names = new Set<string>();
  for await (const input of inputs) {
    for (const name of Object.keys(JSON.parse(input) as RawRow)) if (!known.has(name)) names.add(name);
  }
  return names;
}

function moved({ batch }: SubmissionView): VidbatchError {
  return new VidbatchError('EXPORT_OUTDATED', `batch ${batch} got rows of other columns during its export`, {
    hint: 'Run the command again.',
  });
}

/** Plain text for all values, or JSON if plain text would be read as another row. */
function cellsOf(
  input: RawRow,
  names: readonly string[],
  row: SubmissionView,
  {
    format,
    profile,
    write,
  }: { format: string; profile: Profile | undefined; write: (text: string) => string },
): string[] {
  const texts = names.map((name) => textOf(Object.hasOwn(input, name) ? input[name] : null));
  const plain = format === 'csv' && Object.values(input).every((value) => typeof value === 'string');
  const asText = (): RawRow => Object.fromEntries(names.map((name, at) => [name, texts[at]]));
  if (plain || isSameRow(asText(), input, row, profile)) return texts.map((text) => write(text));
  const given = names.filter((name) => Object.hasOwn(input, name) && input[name] !== null);
  const fields = given.filter(speaks);
  // At least one field must be JSON, so that the row is read as JSON.
  const teller = fields.some((name) => !isText(input[name])) ? undefined : fields[0];
  return names.map((name) => {
    const value = given.includes(name) ? input[name] : null;
    if (value === null) return '';
    return isText(value) && name !== teller ? write(value) : writeValue(value);
  });
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

/** The text of a cell. Null counts as absent, as in all inputs. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function isSameRow(
  asText: RawRow,
  input: RawRow,
  { request, line }: SubmissionView,
  profile: Profile | undefined,
): boolean {
  const sent = request === null ? undefined : (JSON.parse(request) as { model?: unknown });
  const models = typeof sent?.model === 'string' ? [sent.model] : [];
  const options = { line, models, asWritten: true, ...defined({ profile }) };
  const read = readRequest(asText, { ...options, source: 'csv' });
  const before = readRequest(input, { ...options, source: 'json' });
  const hash = (one: object | undefined): string => (one === undefined ? '' : contentHash(one));
  return hash(read.request) === hash(sent) && read.id === before.id && read.notBefore === before.notBefore;
}

/** One object a line: the export columns, the row as read, and the request. */
export async function* exportJsonl(rows: AsyncIterable<SubmissionView>): AsyncGenerator<string> {
  for await (const row of rows) {
    const object = {
      ...appended(row),
      ...(row.earlierTaskIds.length === 0 ? {} : { [EARLIER_TASK_IDS]: row.earlierTaskIds }),
      input: JSON.parse(row.input) as unknown,
      request: row.request === null ? null : (JSON.parse(row.request) as unknown),
    };
    yield `${JSON.stringify(object)}\n`;
  }
}
