import type { Batch } from './ledger/batch.ts';
import type { SubmissionView } from './ledger/read.ts';
import { exportColumns } from './request/columns.ts';

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

/**
 * CSV: every input column in its order and with its delimiter, then ours; an input column with a name of ours becomes
 * `input.<name>`. A manifest in JSON has no header: its columns are those of its rows, in order of appearance, which
 * takes a first pass over the rows (`again` reads them anew).
 */
export async function* exportCsv(
  batch: Pick<Batch, 'columns' | 'delimiter'>,
  rows: AsyncIterable<SubmissionView>,
  again: () => AsyncIterable<SubmissionView>,
): AsyncGenerator<string> {
  const columns = batch.columns ?? (await columnsOf(again()));
  const delimiter = batch.delimiter ?? ',';
  const ours = new Set<string>(exportColumns);
  const line = (cells: readonly unknown[]): string =>
    `${cells.map((cell) => quote(cell, delimiter)).join(delimiter)}\r\n`;
  yield line([...columns.map((column) => (ours.has(column) ? `input.${column}` : column)), ...exportColumns]);
  for await (const row of rows) {
    const input = JSON.parse(row.input) as Record<string, unknown>;
    const known = appended(row);
    yield line([
      ...columns.map((column) => (Object.hasOwn(input, column) ? input[column] : '')),
      ...exportColumns.map((column) => known[column]),
    ]);
  }
}

async function columnsOf(rows: AsyncIterable<SubmissionView>): Promise<string[]> {
  const columns = new Set<string>();
  for await (const row of rows) {
    for (const column of Object.keys(JSON.parse(row.input) as Record<string, unknown>)) columns.add(column);
  }
  return [...columns];
}

/** One object a line: our columns, the row as read, and what was or would be sent. */
export async function* exportJsonl(rows: AsyncIterable<SubmissionView>): AsyncGenerator<string> {
  for await (const row of rows) {
    const object = {
      ...appended(row),
      input: JSON.parse(row.input) as unknown,
      request: row.request === null ? null : (JSON.parse(row.request) as unknown),
    };
    yield `${JSON.stringify(object)}\n`;
  }
}

/** RFC 4180. Values of JSON manifests that are not text stand as JSON. */
function quote(cell: unknown, delimiter: string): string {
  if (cell === null || cell === undefined) return '';
  const text = typeof cell === 'string' ? cell : JSON.stringify(cell);
  const needed = text.includes('"') || text.includes(delimiter) || /[\r\n]|^\s|\s$/.test(text);
  return needed ? `"${text.replaceAll('"', '""')}"` : text;
}
