import { formatAmount, parseAmount, ZERO, type Amount, type Money } from '../../core/money/money.ts';
import { transaction, type Database, type Queryable } from '../../database/database.ts';
import { groups, PAUSED_MODELS, PENDING } from '../send/group.ts';

/** Row `row` has been paid or may have been, as SQL: its price counts as held. */
export const mayBePaid = (row: string): string =>
  `(${row}.state in ('submitting', 'submitted', 'uncertain', 'abandoned') or ${row}.doubtful)`;

/**
 * Row `s` fits what is left of its batch's budget, as SQL: `money` in `currency`, columns of `batch`. Without a currency
 * there is no budget. A claim adds `price - held`: nothing, where the batch holds an earlier attempt of the row already.
 */
export const affordable = (batch: string): string =>
  `(${batch}.currency is null or s.currency = ${batch}.currency and s.price - s.held <= ${batch}.money)`;

/**
 * Batch `b` has pending rows whose model is not paused, and `rest`, what is left of its budget, pays for none of them. Beside
 * `m`, the row of `meta`.
 */
export const ONLY_PAUSED_FIT = (
  rest: string,
): string => `(${rest}.currency is not null and ${PAUSED_MODELS} <> '{}'
  and exists (select from ${groups('b.id')} g where g.model <> all ${PAUSED_MODELS})
  and not exists (
    select from ${groups('b.id')} g
     cross join lateral (
       select from vidbatch.row_state s where ${PENDING('b.id')} and ${affordable(rest)} limit 1) one
     where g.model <> all ${PAUSED_MODELS}))`;

/**
 * Batch `b` is active, has rows that the rest of its budget does not pay for, and no row in flight that could give money
 * back. Beside `p`, its provider, and `m`, the row of `meta`.
 */
export const BUDGET_USED = `(b.state = 'active' and b.budget is not null and b.held is not null
  and exists (select from vidbatch.row_state s where s.batch_id = b.id and s.state = 'pending')
  and not exists (select from vidbatch.row_state s where s.batch_id = b.id and s.state = 'submitting')
  and 'budget' = any(vidbatch.blocked_by(b, p, m)))`;

/** The cost of tasks beyond the first of a row in batch `b`: surplus tasks, and failed tasks that were made again. */
const SURPLUS = `((select coalesce(sum(s.price), 0)
  from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id where a.surplus and s.batch_id = b.id)
  + (select coalesce(sum(a.remade_price), 0)
  from vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id
 where a.remade_at is not null and s.batch_id = b.id))`;

/** What batch `b` holds. With a budget, `batch.held` is the same. */
export const HELD = `((select coalesce(sum(s.held), 0) from vidbatch.submission s where s.batch_id = b.id) + ${SURPLUS})`;

/** Works also for a batch without a budget. */
export async function readHeld(db: Queryable, batchId: number): Promise<Amount> {
  const { rows } = await db.query<{ held: string }>(
    `select ${HELD}::text as held from vidbatch.batch b where b.id = $1`,
    [batchId],
  );
  return amountOf(rows[0]?.held ?? '0');
}

/** The most that a batch may cost; null: it has no budget. */
export async function readBudget(db: Queryable, batchId: number): Promise<Money | null> {
  const { rows } = await db.query<{ budget: string; currency: string }>(
    `select budget::text as budget, budget_currency as currency from vidbatch.batch
      where id = $1 and budget is not null`,
    [batchId],
  );
  const row = rows[0];
  return row === undefined ? null : { amount: amountOf(row.budget), currency: row.currency };
}

/** Names the newest decision about the budget of a batch; each decision has another mark. */
export async function readBudgetMark(db: Queryable, batchId: number): Promise<string> {
  const { rows } = await db.query<{ mark: string }>(
    `select coalesce(max(id), 0)::text as mark from vidbatch.event_log where batch_id = $1 and event = 'budget'`,
    [batchId],
  );
  return rows[0]?.mark ?? '0';
}

/**
 * Gives a batch a budget; null removes it. Call it in a transaction that has locked the batch. If the batch had no budget,
 * call `countHeld` after the transaction.
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
 * Counts again what a batch holds. Call it in a transaction that has locked the batch. A statement that moves a row also
 * writes to the batch, so it waits, and adds what this count has not seen.
 */
export async function recount(db: Queryable, batchId: number): Promise<void> {
  await db.query(`update vidbatch.batch b set held = ${HELD} where b.id = $1 and b.held is not null`, [
    batchId,
  ]);
}

/** Claims wait meanwhile. After a longer wait, their rows would be too old to be sent. */
const LOCK_MS = 2_000;

/**
 * Counts what batches hold that have just got a budget. A claim that began earlier does not see the budget, so the count
 * locks out all that write rows. Without the lock in time, a sweeper counts later.
 */
export async function countHeld(db: Database): Promise<void> {
  const { rows } = await db.query(
    `select from vidbatch.batch where budget is not null and held is null limit 1`,
  );
  if (rows.length === 0) return;
  try {
    await transaction(db, async (session) => {
      await session.query(`set local lock_timeout = ${LOCK_MS}`);
      await session.query('lock table vidbatch.row_state in exclusive mode');
      // Skip a locked batch: its producer waits for the table.
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

/** A row that keeps its batch from having a budget: its price is unknown, or in another currency. */
export interface Misfit {
  rows: number;
  line: number;
  key: string;
  model: string | null;
  currency: string | null;
}

/** The first pending or paid row without a price in this currency. */
export async function findMisfit(
  db: Queryable,
  batchId: number,
  currency: string,
): Promise<Misfit | undefined> {
  const { rows } = await db.query<Misfit>(
    `select (count(*) over (partition by s.currency is null))::int as rows, s.line, s.row_key as key, s.model, s.currency
       from vidbatch.submission s
      where s.batch_id = $1 and (s.state = 'pending' or ${mayBePaid('s')})
        and s.currency is distinct from $2
      order by s.currency nulls first, s.line, s.id limit 1`,
    [batchId, currency],
  );
  return rows[0];
}

export interface BudgetStatus {
  currency: string;
  budget: Amount;
  /** For accepted rows, and for more than one task a row. */
  spent: Amount;
  /** For rows in flight, and for rows that may have been accepted. */
  reserved: Amount;
  /** Below zero: a surplus task was paid. */
  left: Amount;
  /** Pending rows that the remaining budget does not pay for, even if the cheapest rows are sent first. */
  beyond: number;
  /** Those whose price is unknown or in another currency: under this budget, they are never sent. */
  unpriced: number;
  /** Rows are pending, and the remaining budget pays for none of them. */
  reached: boolean;
  /** It pays only for rows whose model an operator paused, and other rows are pending, too. */
  onlyPausedFit: boolean;
  /** The budget that would pay all pending rows with a known price. */
  needed: Amount;
}

/** What a claim adds for a pending row that `c`, a record of `row_count`, counts. The price of a row in doubt is held already. */
const WAITING_COST = `case when c.doubtful then 0 else c.price end`;

/** Undefined: the batch has no budget. */
export async function readBudgetStatus(db: Queryable, batchId: number): Promise<BudgetStatus | undefined> {
  type Sums = Record<'budget' | 'spent' | 'reserved' | 'left' | 'needed', string>;
  type Found = Sums & Pick<BudgetStatus, 'currency' | 'beyond' | 'unpriced' | 'reached' | 'onlyPausedFit'>;
  const { rows } = await db.query<Found>(
    `select b.budget_currency as currency, b.budget::text as budget, (t.accepted + u.surplus)::text as spent,
            t.reserved::text as reserved, (b.budget - t.accepted - u.surplus - t.reserved)::text as left, t.unpriced,
            (t.accepted + u.surplus + t.reserved + t.waiting)::text as needed,
            w.beyond, t.pending > 0 and t.pending = w.beyond as reached,
            t.pending > w.beyond and ${ONLY_PAUSED_FIT('rest')} as "onlyPausedFit"
       from vidbatch.batch b
      cross join vidbatch.meta m
      cross join lateral (
        select coalesce(sum(c.rows * c.price) filter (where c.state = 'submitted'), 0) as accepted,
               coalesce(sum(c.rows * c.price) filter (where c.state <> 'submitted' and ${mayBePaid('c')}), 0) as reserved,
               coalesce(sum(c.rows) filter (where c.state = 'pending'), 0)::int as pending,
               coalesce(sum(c.rows * ${WAITING_COST}) filter (
                 where c.state = 'pending' and c.currency = b.budget_currency), 0) as waiting,
               coalesce(sum(c.rows) filter (
                 where c.state = 'pending' and c.currency is distinct from b.budget_currency), 0)::int as unpriced
          from vidbatch.row_count c where c.batch_id = b.id
      ) t
      cross join lateral (select ${SURPLUS} as surplus) u
      cross join lateral (
        select b.budget_currency as currency, b.budget - t.accepted - u.surplus - t.reserved as money) rest
      cross join lateral (
        select t.pending - coalesce(sum(
                 case when alike.cost > 0 then least(alike.rows, greatest(0, floor((rest.money - alike.before) / alike.cost)))
                      when alike.before <= rest.money then alike.rows else 0 end), 0)::int as beyond
          from (select p.rows, p.cost, coalesce(sum(p.rows * p.cost) over (
                         order by p.cost rows between unbounded preceding and 1 preceding), 0) as before
                  from (select ${WAITING_COST} as cost, sum(c.rows) as rows
                          from vidbatch.row_count c
                         where c.batch_id = b.id and c.state = 'pending' and c.currency = b.budget_currency
                         group by 1 having sum(c.rows) > 0) p) alike
      ) w
      where b.id = $1 and b.budget is not null`,
    [batchId],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const { budget, spent, reserved, left, needed, ...more } = row;
  return {
    ...more,
    budget: amountOf(budget),
    spent: amountOf(spent),
    reserved: amountOf(reserved),
    left: amountOf(left),
    needed: amountOf(needed),
  };
}

/** Parses a `numeric` of Postgres. */
export function amountOf(text: string): Amount {
  return parseAmount(text) ?? ZERO;
}
