import { formatCount } from '../core/units.ts';
import { quoted } from '../core/text.ts';
import type { Queryable } from '../database/database.ts';
import type { Batch } from '../ledger/batches.ts';
import { readCommonestReason } from '../ledger/read/batch-numbers.ts';
import type { Reason } from '../ledger/read/batch-numbers.ts';
import { readFailReasons } from '../ledger/operator/retry-failed-tasks.ts';
import { formatFailedTasks } from '../operate/summary.ts';
import type { Summary } from '../operate/summary.ts';

/** Rows that definitely failed: how many, mostly why, and what to do next. One line a state. */
export async function failedRows(db: Queryable, batch: Batch, { counts, gates }: Summary): Promise<string[]> {
  const lines: string[] = [];
  const said = gates.map(({ reason }) => reason).join('\n');
  if (counts.exhausted > 0) {
    const why = describe(await readCommonestReason(db, batch.id, 'exhausted'), counts.exhausted, said);
    lines.push(
      `${rows(counts.exhausted, 'exhausted')} never accepted, tries used up${why}; \`vidbatch retry ${quoted(batch.name)}\` makes ${counts.exhausted === 1 ? 'it' : 'them'} pending again`,
    );
  }
  if (counts.rejected > 0) {
    const why = describe(await readCommonestReason(db, batch.id, 'rejected'), counts.rejected, said);
    lines.push(
      `${rows(counts.rejected, 'rejected')} refused for what ${counts.rejected === 1 ? 'it says' : 'they say'}${why}; correct ${counts.rejected === 1 ? 'it' : 'them'} and run again`,
    );
  }
  if (counts.submitted > 0) {
    const failed = formatFailedTasks(batch.name, await readFailReasons(db, batch.id));
    if (failed !== undefined) lines.push(failed);
  }
  return lines;
}

function rows(n: number, state: string): string {
  return n === 1 ? `1 ${state} row was` : `${formatCount(n)} ${state} rows were`;
}

/** ` (3 of them: ECONNREFUSED: api.example.com refuses connections)`; what a gate has `said` is not told again. */
function describe(reason: Reason | undefined, total: number, said: string): string {
  if (reason === undefined) return '';
  const { rows: n, code, httpStatus, message } = reason;
  const what = [code, httpStatus === null ? null : `HTTP ${httpStatus}`].filter((part) => part !== null);
  const news = message === null || said.includes(message) ? '' : message;
  const told = [what.join(', '), news].filter((part) => part !== '').join(': ');
  if (told === '') return '';
  return n === total ? ` (${told})` : ` (${formatCount(n)} of them: ${told})`;
}
