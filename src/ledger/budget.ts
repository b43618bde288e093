import type { Amount } from '../core/money/amount.ts';
import { formatAmount, parseAmount, ZERO } from '../core/money/amount.ts';
import type { Money } from '../core/money/money.ts';
import { PAID } from './import/comparison.ts';
import type { Database, Queryable } from '../database/database.ts';
import { transaction } from '../database/database.ts';

/*
 * Budgets as predicates of the claim. In all of these, `s` is the submission and `b` its batch. What a claim adds to
 * what its batch holds is `price - held`: nothing, where an earlier attempt of the row is held already.
 */

/** The row may be claimed, as far as money goes. Null, which is a no, when its price is not known. */
export const AFFORDABLE = `(b.budget is null
  or s.currency = b.budget_currency and b.held + s.price - s.held <= b.budget)`;

/** What the cheapest row of a batch that waits would add. One look at an index. */
const CHEAPEST = `(select c.price - c.held from vidbatch.submission c
  where c.batch_id = b.id and c.state = 'pending' and c.price is not null and c.currency = b.budget_currency
  order by c.batch_id, c.price - c.held limit 1)`;

/** Some row of the batch may be claimed, as far as money goes. */
export const SOME_AFFORDABLE = `(b.budget is null or ${CHEAPEST} <= b.budget - b.held)`;

/** No row of the batch can be claimed for want of money. Not while it is yet to be counted. */
export const SPENT = `(b.budget is not null and b.held is not null and not coalesce(${SOME_AFFORDABLE}, false))`;

/** What tasks beyond one a row have cost: surplus ones, and failed ones that were made again. */
const SURPLUS = `((select coalesce(sum(s.price), 0)
  from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id where a.surplus and s.batch_id = b.id)
  + (select coalesce(sum(a.remade_price), 0)
  from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
 where a.remade_at is not null and s.batch_id = b.id))`;

/** All that a batch holds: what `batch.held` says, if it has a budget. */
export const HELD = `((select coalesce(sum(s.held), 0) from vidbatch.submission s where s.batch_id = b.id) + ${SURPLUS})`;

/** What a batch holds, of whatever budget it has or is to have. */
export async function readHeld(db: Queryable, batchId: number): Promise<Amount> {
  const { rows } = await db.query<{ held: string }>(
    `select ${HELD}::text as held from vidbatch.batch b where b.id = $1`,
    [batchId],
  );
  return amountOf(rows[0]?.held ?? '0');
}

/** What a batch may cost, all its life; null: nobody has said. */
export async function readBudget(db: Queryable, batchId: number): Promise<Money | null> {
  const { rows } = await db.query<{ budget: string; currency: string }>(
    `select budget::text as budget, budget_currency as currency from vidbatch.batch
      where id = $1 and budget is not null`,
    [batchId],
  );
  const row = rows[0];
  return row === undefined ? null : { amount: amountOf(row.budget), currency: row.currency };
}

/**
 * Gives a batch a budget, or with null none. Within a transaction that holds the batch's row; a
 * batch that had none is to be counted when that is over.
 */
export async function setBudget(db: Queryable, batchId: number, budget: Money | null): Promise<void> {
  await db.query(
    `update vidbatch.batch b
        set budget = $2::numeric, budget_currency = $3, held = case when $2::numeric is null then null else b.held end
      where id = $1`,
    [batchId, budget && formatAmount(budget.amount), budget?.currency ?? null],
  );
}

/**
 * Counts anew what a batch holds. Within a transaction that holds the batch's row: whoever moves a row writes to the
 * batch in the same statement, so what is not counted here is added afterwards.
 */
export async function recount(db: Queryable, batchId: number): Promise<void> {
  await db.query(`update vidbatch.batch b set held = ${HELD} where b.id = $1 and b.held is not null`, [
    batchId,
  ]);
}

/** Claims wait meanwhile; longer, and what they are granted would be stale. */
const LOCK_MS = 2_000;

/**
 * Counts batches that were just given a budget. A claim that began before that does not know of it, so the count waits
 * for all that write rows, and they for it. What is busy for too long is left to the next one: the sweeper of any worker.
 */
export async function countHeld(db: Database): Promise<void> {
  const { rows } = await db.query(
    `select from vidbatch.batch where budget is not null and held is null limit 1`,
  );
  if (rows.length === 0) return;
  try {
    await transaction(db, async (session) => {
      await session.query(`set local lock_timeout = ${LOCK_MS}`);
      await session.query('lock table vidbatch.submission in exclusive mode');
      // A row that is locked is a producer's, who waits for the table.
      await session.query(
        `update vidbatch.batch b set held = ${HELD}
          where b.id in (select id from vidbatch.batch where budget is not null and held is null for update skip locked)`,
      );
    });
  } catch (error) {
    if ((error as { code?: string }).code !== LOCK_NOT_AVAILABLE) throw error;
  }
}

const LOCK_NOT_AVAILABLE = '55P03';

/** A row that cannot be under a budget: its price is not known, or in another currency. */
export interface Misfit {
  /** How many of its kind there are. */
  rows: number;
  line: number;
  key: string;
  model: string | null;
  currency: string | null;
}

/** The first of the rows that hold money, or would, in another currency than this. */
export async function findMisfit(
  db: Queryable,
  batchId: number,
  currency: string,
): Promise<Misfit | undefined> {
  const { rows } = await db.query<Misfit>(
    `select (count(*) over (partition by s.currency is null))::int as rows, s.line, s.row_key as key, s.model, s.currency
       from vidbatch.submission s
      where s.batch_id = $1 and (s.state = 'pending' or s.state in ${PAID} or s.doubtful)
        and s.currency is distinct from $2
      order by s.currency nulls first, s.line, s.id limit 1`,
    [batchId, currency],
  );
  return rows[0];
}

/** How a budget stands. */
export interface Purse {
  currency: string;
  budget: Amount;
  /** Of accepted rows, and of tasks beyond one a row. */
  spent: Amount;
  /** Of rows that are in flight, or may have been accepted. */
  reserved: Amount;
  /** Below zero: something was paid that nobody could hold back. */
  left: Amount;
  /** Pending rows that the rest does not pay for, even if the cheapest go first. */
  beyond: number;
  /** Those of them whose price is not known, or not in this currency: no budget lets them go. */
  unpriced: number;
  /** No row that waits fits. */
  reached: boolean;
  /** The budget that would pay for every row that waits and whose price is known. */
  needed: Amount;
}

/** Undefined: the batch has no budget. */
export async function readPurse(db: Queryable, batchId: number): Promise<Purse | undefined> {
  const { rows } = await db.query<{
    currency: string;
    budget: string;
    spent: string;
    reserved: string;
    left: string;
    beyond: number;
    pending: number;
    unpriced: number;
    needed: string;
  }>(
    `select b.budget_currency as currency, b.budget::text as budget, (t.accepted + u.surplus)::text as spent,
            t.reserved::text as reserved, (b.budget - t.accepted - u.surplus - t.reserved)::text as left, t.pending, t.unpriced,
            (t.accepted + u.surplus + t.reserved + t.waiting)::text as needed,
            (select count(*) from (
               select s.currency, sum(s.price - s.held) over (order by s.price - s.held, s.id) as upto
                 from vidbatch.submission s where s.batch_id = b.id and s.state = 'pending') w
              where (w.currency = b.budget_currency
                     and w.upto <= b.budget - t.accepted - u.surplus - t.reserved) is not true)::int as beyond
       from vidbatch.batch b
      cross join lateral (
        select coalesce(sum(s.held) filter (where s.state = 'submitted'), 0) as accepted,
               coalesce(sum(s.held) filter (where s.state <> 'submitted'), 0) as reserved,
               (count(*) filter (where s.state = 'pending'))::int as pending,
               coalesce(sum(s.price - s.held) filter (where s.state = 'pending' and s.currency = b.budget_currency), 0) as waiting,
               (count(*) filter (where s.state = 'pending' and s.currency is distinct from b.budget_currency))::int as unpriced
          from vidbatch.submission s where s.batch_id = b.id
      ) t
      cross join lateral (select ${SURPLUS} as surplus) u
      where b.id = $1 and b.budget is not null`,
    [batchId],
  );
  const row = rows[0];
  if (row === undefined) return undefined;
  return {
    currency: row.currency,
    budget: amountOf(row.budget),
    spent: amountOf(row.spent),
    reserved: amountOf(row.reserved),
    left: amountOf(row.left),
    beyond: row.beyond,
    unpriced: row.unpriced,
    reached: row.pending > 0 && row.beyond === row.pending,
    needed: amountOf(row.needed),
  };
}

/** As `numeric` is written by Postgres. */
export function amountOf(text: string): Amount {
  return parseAmount(text) ?? ZERO;
}
