import { formatAmount, type Amount } from '../../core/money/money.ts';
import { storable } from '../../core/text.ts';
import { writeScratch } from '../import/stage.ts';
import type { Queryable } from '../../database/database.ts';
import { readCount } from '../read/query.ts';

/** A line of a provider's file as it was read. Null: the line does not say it. */
export interface ProviderRecord {
  taskId: string | null;
  requestId: string | null;
  model: string | null;
  duration: number | null;
  prompt: string | null;
  status: string | null;
  createdAt: number | null;
  client: string | null;
  chargeId: string | null;
  entry: 'charge' | 'refund' | null;
  /** Not negative. */
  amount: Amount | null;
  currency: string | null;
  billedAt: number | null;
  /** The zone of its times is that of `--tz`. */
  zoned: boolean;
  /** The amount is negative, and no column says what that means. */
  negative: boolean;
  /** It is not about a task, but for example about a top-up. */
  aside: boolean;
  fault: string | null;
}

export interface FileLine {
  /** 1-based. */
  line: number;
  /** The line as JSON text. */
  raw: string;
  /** The file is a task list: it has statuses, or no amounts. */
  listed: boolean;
  read: ProviderRecord;
}

/**
 * The identity of an entry, which is the same in two files that overlap: the provider's number, or the time to the second. A
 * line with neither only says what the task costs.
 */
export function identityOf({
  entry,
  billedAt,
  chargeId,
}: {
  entry: 'charge' | 'refund';
} & Pick<ProviderRecord, 'billedAt' | 'chargeId'>): string {
  if (chargeId !== null) return `id:${chargeId}`;
  return billedAt === null ? `untimed:${entry}` : `${entry}@${Math.floor(billedAt / 1000)}`;
}

export interface StagedLine extends FileLine {
  /** Counted over all files, from 1. */
  position: number;
  file: string;
}

/** The most bytes of a line that are kept for a person. */
const RAW_BYTES = 16_384;

/** Stages lines of a provider's file under this import. @throws VidbatchError `IMPORT_LOST` */
export async function stageLines(
  db: Queryable,
  importId: string,
  lines: readonly StagedLine[],
): Promise<void> {
  const column = <T>(of: (line: StagedLine) => T): T[] => lines.map(of);
  const time = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());
  const text = (value: string | null): string | null => (value === null ? null : storable(value, RAW_BYTES));
  await writeScratch(
    db,
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

/** Without statistics, the planner compares each line with each other. */
export async function analyseListing(db: Queryable): Promise<void> {
  await db.query('analyze vidbatch.listed');
  await db.query('analyze vidbatch.paired');
  await db.query('analyze vidbatch.suspect');
}

export interface FileFacts {
  file: string;
  lines: number;
  unreadable: number;
  listed: boolean;
  billed: boolean;
  from: Date | null;
  to: Date | null;
}

export async function readFileFacts(db: Queryable, importId: string): Promise<FileFacts[]> {
  const { rows } = await db.query<FileFacts>(
    `select file, count(*)::int as lines, (count(*) filter (where fault is not null))::int as unreadable,
            bool_or(listed) as listed, bool_or(amount is not null or not listed) as billed,
            min(coalesce(created_at, billed_at)) as "from", max(coalesce(created_at, billed_at)) as "to"
       from vidbatch.listed where import_id = $1 group by file order by min(position)`,
    [importId],
  );
  return rows;
}

/**
 * Stores what the files of an import bill for tasks of this ledger. It only corrects an entry that is there already, so files
 * may overlap and may be read again. Returns how many entries are new or changed.
 */
export function storeCharges(db: Queryable, importId: string): Promise<number> {
  return readCount(
    db,
    `with entries as (
       select a.submission_id, s.batch_id, s.model, a.task_id, l.identity, l.entry, l.amount, l.currency, l.billed_at, l.charge_id, l.file, l.line, l.position,
              case when l.charge_id is not null then 1 else row_number() over (
                partition by l.file, l.subject, l.identity order by l.position) end as occurrence
         from vidbatch.listed l
         join vidbatch.paired p on p.import_id = l.import_id and p.subject = l.subject
         join vidbatch.attempt a on a.id = p.attempt_id and a.task_id is not null
         join vidbatch.row_state s on s.id = a.submission_id
        where l.import_id = $1 and l.entry is not null and l.fault is null
     ), once as (
       select distinct on (submission_id, task_id, identity, occurrence) * from entries
        order by submission_id, task_id, identity, occurrence, position desc
     ), stored as (
       insert into vidbatch.charge as c
         (submission_id, batch_id, model, task_id, identity, occurrence, entry, amount, currency, billed_at, charge_id, file, line)
       select submission_id, batch_id, model, task_id, identity, occurrence, entry, amount, currency, billed_at, charge_id, file, line from once
       on conflict (submission_id, task_id, identity, occurrence) do update
          set entry = excluded.entry, amount = excluded.amount, currency = excluded.currency,
              file = excluded.file, line = excluded.line, stored_at = now()
        where (c.entry, c.amount, c.currency) is distinct from (excluded.entry, excluded.amount, excluded.currency)
       returning 1
     )
     select count(*)::int as n from stored`,
    [importId],
  );
}

/** What the provider billed for a batch, by the files that were read. */
export interface Billed {
  currency: string;
  /** Charges less refunds: a decimal as text. */
  amount: string;
  /** Tasks with an entry in this currency. */
  tasks: number;
}

/** Whether the charge `c` counts: an entry without time and number counts only for a task without other entries. */
export const COUNTED_CHARGE = `(c.identity not like 'untimed:%' or not exists (
          select from vidbatch.charge x where x.submission_id = c.submission_id and x.task_id = c.task_id
             and x.identity not like 'untimed:%'))`;

/** In the order of the currencies. */
export async function readBilled(db: Queryable, batchId: number): Promise<Billed[]> {
  const { rows } = await db.query<Billed>(
    `select c.currency, sum(case when c.entry = 'charge' then c.amount else -c.amount end)::text as amount,
            count(distinct c.task_id)::int as tasks
       from vidbatch.charge c join vidbatch.submission s on s.id = c.submission_id
      where s.batch_id = $1 and ${COUNTED_CHARGE}
      group by c.currency order by c.currency`,
    [batchId],
  );
  return rows;
}
