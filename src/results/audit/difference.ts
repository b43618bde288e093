import { formatAmount } from '../../core/money/money.ts';
import { writeText } from '../../manifest/export-format.ts';
import { settleTask, type AuditFinding } from './audited-task.ts';

/** Columns of the file that goes to the provider's support. */
export const DIFFERENCE_COLUMNS = [
  'kind',
  'task_id',
  'request_id',
  'batch',
  'row_key',
  'line',
  'state',
  'provider_status',
  'listed_status',
  'model',
  'listed_model',
  'duration',
  'listed_duration',
  'amount',
  'currency',
  'expected_amount',
  'expected_currency',
  'claimed_at',
  'submitted_at',
  'created_at',
  'billed_at',
  'http_status',
  'provider_lines',
  'problem',
  'raw_lines',
  'raw_answer',
  'raw_poll',
] as const;

/**
 * One finding as a line of CSV: what the ledger says and what the provider says, side by side. `redact` removes secrets.
 * Times are RFC 3339 UTC.
 */
export function differenceLine(finding: AuditFinding, redact: (text: string) => string): string {
  const { kinds, expected, subject, row, lines } = finding;
  const net = subject === null ? new Map<string, never>() : settleTask(subject).net;
  const all = <T>(of: (line: (typeof lines)[number]) => T | null): T[] => [
    ...new Set(lines.flatMap((line) => of(line) ?? [])),
  ];
  const times = (of: (line: (typeof lines)[number]) => string | null): string =>
    all(of)
      .map((text) => new Date(text).toISOString())
      .join(' ');
  const cells: Record<(typeof DIFFERENCE_COLUMNS)[number], string | number | null | undefined> = {
    kind: kinds.join(' '),
    task_id: row?.taskId ?? (row !== null && row.subject !== row.requestId ? row.subject : null),
    request_id: row?.requestId ?? all((line) => line.requestId).join(' '),
    batch: row?.batch,
    row_key: row?.key,
    line: row?.manifestLine,
    state: row?.state,
    provider_status: row?.providerStatus,
    listed_status: all((line) => line.status).join(' '),
    model: row?.model,
    listed_model: all((line) => line.model).join(' '),
    duration: row?.duration,
    listed_duration: all((line) => line.duration).join(' '),
    amount: [...net.values()].map((amount) => formatAmount(amount, 2)).join(' '),
    currency: [...net.keys()].join(' '),
    expected_amount: expected && formatAmount(expected.amount, 2),
    expected_currency: expected?.currency,
    claimed_at: row?.at?.toISOString(),
    submitted_at: row?.submittedAt?.toISOString(),
    created_at: times((line) => line.createdAt),
    billed_at: times((line) => line.billedAt),
    http_status: row?.httpStatus,
    provider_lines: lines.map(({ file, line }) => `${file}:${line}`).join(' '),
    problem: all((line) => line.fault).join('; '),
    raw_lines: lines.map(({ raw }) => raw).join('\n'),
    raw_answer: row?.body,
    raw_poll: row?.polled,
  };
  return csvLine(DIFFERENCE_COLUMNS.map((column) => redact(String(cells[column] ?? ''))));
}

/** A header, or a line whose cells no spreadsheet runs. */
export function csvLine(cells: readonly string[]): string {
  const written = cells.map((cell) => {
    const text = writeText(cell);
    return /[",;\t\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  });
  return `${written.join(',')}\r\n`;
}
