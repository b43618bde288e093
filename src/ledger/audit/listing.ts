import { formatAmount } from '../../core/money/amount.ts';
import { identityOf } from './provider-line.ts';
import type { FileLine } from './provider-line.ts';
import { storable } from '../../core/text.ts';
import type { Queryable } from '../../database/database.ts';

export interface StagedLine extends FileLine {
  /** Over all files, from 1. */
  position: number;
  file: string;
}

/** As much of a line as is kept for a person. */
const RAW_BYTES = 16_384;

/** Writes lines of a provider's file beside the ledger, under this import. */
export async function stageLines(
  db: Queryable,
  importId: string,
  lines: readonly StagedLine[],
): Promise<void> {
  const column = <T>(of: (line: StagedLine) => T): T[] => lines.map(of);
  const time = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());
  const text = (value: string | null): string | null => (value === null ? null : storable(value, RAW_BYTES));
  await db.query(
    `with seen as (update vidbatch.import set seen_at = now() where id = $1)
     insert into vidbatch.listed
       (import_id, position, file, line, subject, task_id, request_id, listed, model, duration, prompt, status, created_at,
        client, charge_id, entry, amount, currency, billed_at, identity, aside, fault, raw)
     select $1, * from unnest($2::bigint[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::boolean[],
       $9::text[], $10::int[], $11::text[], $12::text[], $13::timestamptz[], $14::text[], $15::text[], $16::text[],
       $17::numeric[], $18::text[], $19::timestamptz[], $20::text[], $21::boolean[], $22::text[], $23::text[])`,
    [
      importId,
      column((line) => line.position),
      column((line) => line.file),
      column((line) => line.line),
      column(({ read }) => read.taskId ?? read.requestId),
      column(({ read }) => read.taskId),
      column(({ read }) => read.requestId),
      column((line) => line.listed),
      column(({ read }) => text(read.model)),
      column(({ read }) => read.duration),
      column(({ read }) => text(read.prompt)),
      column(({ read }) => read.status),
      column(({ read }) => time(read.createdAt)),
      column(({ read }) => text(read.client)),
      column(({ read }) => read.chargeId),
      column(({ read }) => read.entry),
      column(({ read }) => (read.amount === null ? null : formatAmount(read.amount))),
      column(({ read }) => read.currency),
      column(({ read }) => time(read.billedAt)),
      column(({ read: { entry, billedAt, chargeId } }) =>
        entry === null ? null : identityOf({ entry, billedAt, chargeId }),
      ),
      column(({ read }) => read.aside),
      column(({ read }) => text(read.fault)),
      column((line) => storable(line.raw, RAW_BYTES)),
    ],
  );
}

/** The rows are new to the planner, and a planner that believes in a handful compares each with each. */
export async function analyseListing(db: Queryable): Promise<void> {
  await db.query('analyze vidbatch.listed');
  await db.query('analyze vidbatch.paired');
  await db.query('analyze vidbatch.suspect');
}

/** What one file says of itself, by its lines. */
export interface FileFacts {
  file: string;
  lines: number;
  unreadable: number;
  listed: boolean;
  billed: boolean;
  /** Of its lines, as far as they have a time. */
  from: Date | null;
  to: Date | null;
}

export async function fileFacts(db: Queryable, importId: string): Promise<FileFacts[]> {
  const { rows } = await db.query<FileFacts>(
    `select file, count(*)::int as lines, (count(*) filter (where fault is not null))::int as unreadable,
            bool_or(listed) as listed, bool_or(amount is not null or not listed) as billed,
            min(coalesce(created_at, billed_at)) as "from", max(coalesce(created_at, billed_at)) as "to"
       from vidbatch.listed where import_id = $1 group by file order by min(position)`,
    [importId],
  );
  return rows;
}
