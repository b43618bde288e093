import type { Queryable } from '../../database/database.ts';

/**
 * Stores what the files of an import bill for tasks of this ledger. An entry that is there already is only corrected, so
 * that files may overlap, and come again. Returns how many entries are new or changed.
 */
export async function storeCharges(db: Queryable, importId: string): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `with entries as (
       select a.submission_id, a.task_id, l.identity, l.entry, l.amount, l.currency, l.billed_at, l.charge_id, l.file, l.line, l.position,
              case when l.charge_id is not null then 1 else row_number() over (
                partition by l.file, l.subject, l.identity order by l.position) end as occurrence
         from vidbatch.listed l
         join vidbatch.paired p on p.import_id = l.import_id and p.subject = l.subject
         join vidbatch.attempt a on a.id = p.attempt_id and a.task_id is not null
        where l.import_id = $1 and l.entry is not null and l.fault is null
     ), once as (
       select distinct on (submission_id, task_id, identity, occurrence) * from entries
        order by submission_id, task_id, identity, occurrence, position desc
     ), stored as (
       insert into vidbatch.charge as c
         (submission_id, task_id, identity, occurrence, entry, amount, currency, billed_at, charge_id, file, line)
       select submission_id, task_id, identity, occurrence, entry, amount, currency, billed_at, charge_id, file, line from once
       on conflict (submission_id, task_id, identity, occurrence) do update
          set entry = excluded.entry, amount = excluded.amount, currency = excluded.currency,
              file = excluded.file, line = excluded.line, stored_at = now()
        where (c.entry, c.amount, c.currency) is distinct from (excluded.entry, excluded.amount, excluded.currency)
       returning 1
     )
     select count(*)::int as n from stored`,
    [importId],
  );
  return rows[0]?.n ?? 0;
}

/** What a batch was billed, as far as the provider's files have been read. */
export interface Billed {
  currency: string;
  /** Charges less refunds: a decimal as text. */
  amount: string;
  /** Tasks with an entry in this currency. */
  tasks: number;
}

/** By currency, in the order of their names. Of a task's entries without time or number only those count that stand alone. */
export async function billedOf(db: Queryable, batchId: number): Promise<Billed[]> {
  const { rows } = await db.query<Billed>(
    `select c.currency, sum(case when c.entry = 'charge' then c.amount else -c.amount end)::text as amount,
            count(distinct c.task_id)::int as tasks
       from vidbatch.charge c join vidbatch.submission s on s.id = c.submission_id
      where s.batch_id = $1
        and (c.identity not like 'untimed:%' or not exists (
          select from vidbatch.charge x where x.submission_id = c.submission_id and x.task_id = c.task_id
             and x.identity not like 'untimed:%'))
      group by c.currency order by c.currency`,
    [batchId],
  );
  return rows;
}
