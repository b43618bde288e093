import type { Queryable } from '../../database/database.ts';
import { COUNTED_CHARGE } from '../audit/provider-lines.ts';
import { pageByPage } from './query.ts';

/** Why a person writes to the provider: most certain first. */
export const DISPUTE_KINDS = ['charged-twice', 'paid-twice', 'task-failed', 'uncertain'] as const;
export type DisputeKind = (typeof DISPUTE_KINDS)[number];

/** A charge, or a possible charge, for which there is no video that was asked for. */
export interface Dispute {
  kind: DisputeKind;
  submissionId: number;
  key: string;
  line: number;
  model: string | null;
  /** Null: no task id reached us. */
  taskId: string | null;
  requestId: string | null;
  claimedAt: Date | null;
  /** When the call ended; null: no answer came. */
  answeredAt: Date | null;
  /** When the task ended. */
  endedAt: Date | null;
  httpStatus: number | null;
  /** The most that the request could cost when it was sent; null: its price is not known. */
  price: string | null;
  currency: string | null;
  /**
   * What the provider's bills say, less refunds; null: no bill was read. Of a task that was charged twice, what goes beyond
   * its highest charge.
   */
  charged: { amount: string; currency: string }[] | null;
  problem: string | null;
  /** The beginning of the raw answer, and its whole length. */
  answer: string | null;
  answerLength: number | null;
  /** The exact JSON text of the body that was sent. */
  request: string | null;
}

const PAGE = 500;
/** A person needs no more of an answer. */
const ANSWER = 4000;

/**
 * Everything of a batch to write to the provider about, by kind. A task without a charge is left out: its charge was
 * refunded, or its answer says that it costs nothing.
 */
export function readDisputes(db: Queryable, batchId: number): AsyncGenerator<Dispute> {
  return pageByPage<Dispute>(PAGE, async (after) => {
    const { rows } = await db.query<Dispute>(
      `with found as (
         select 0 as rank, s.id, t.task_id, a.id as attempt_id, s.price, s.currency
           from vidbatch.task t join vidbatch.row_state s on s.id = t.submission_id
           left join vidbatch.attempt a on a.submission_id = t.submission_id and a.task_id = t.task_id
          where t.batch_id = $1 and t.status <> 'failed' and not t.surplus and exists (
            select from vidbatch.charge c where c.submission_id = t.submission_id and c.task_id = t.task_id and ${COUNTED_CHARGE}
             group by c.currency
            having count(*) filter (where c.entry = 'charge') > 1 + count(*) filter (where c.entry = 'refund')
               -- Several charges that make the price together are one payment.
               and (s.currency = c.currency and sum(case c.entry when 'refund' then - c.amount else c.amount end) <= s.price)
                   is not true)
         union all
         select 1, s.id, a.task_id, a.id, s.price, s.currency
           from vidbatch.attempt a join vidbatch.row_state s on s.id = a.submission_id
          where s.batch_id = $1 and a.surplus
         union all
         select 2, s.id, t.task_id, a.id, coalesce(a.remade_price, s.price), s.currency
           from vidbatch.task t join vidbatch.row_state s on s.id = t.submission_id
           left join vidbatch.attempt a on a.submission_id = t.submission_id and a.task_id = t.task_id and not a.surplus
          where t.batch_id = $1 and t.status = 'failed' and not t.surplus and t.cost is distinct from 0
         union all
         select 3, s.id, '', a.id, s.price, s.currency
           from vidbatch.row_state s
           left join lateral (
             select attempt.id from vidbatch.attempt
              where attempt.submission_id = s.id
              order by attempt.outcome is null or attempt.outcome = 'uncertain' desc, attempt.number desc limit 1) a on true
          where s.batch_id = $1 and s.state in ('uncertain', 'abandoned')
       )
       select ($2::text[])[f.rank + 1] as kind, f.id as "submissionId", s.row_key as key, s.line, s.model,
              nullif(f.task_id, '') as "taskId", a.request_id as "requestId", a.claimed_at as "claimedAt",
              a.finished_at as "answeredAt", t.finished_at as "endedAt", a.http_status as "httpStatus",
              trim_scale(f.price)::text as price, case when f.price is not null then f.currency end as currency,
              bill.charged, coalesce(t.fail_reason, case when f.rank = 2 then s.error else a.error end) as problem,
              left(coalesce(t.body, a.body), $3) as answer, length(coalesce(t.body, a.body)) as "answerLength", s.request
         from found f
         join vidbatch.submission s on s.id = f.id
         left join vidbatch.attempt a on a.id = f.attempt_id
         left join vidbatch.task t on t.submission_id = f.id and t.task_id = f.task_id
         left join lateral (
           select json_agg(json_build_object('amount', trim_scale(b.net)::text, 'currency', b.currency)) as charged,
                  max(b.net) as most
             from (select c.currency, sum(case c.entry when 'refund' then - c.amount else c.amount end)
                          - case f.rank when 0 then max(c.amount) filter (where c.entry = 'charge') else 0 end as net
                     from vidbatch.charge c
                    where c.submission_id = f.id and c.task_id = f.task_id and ${COUNTED_CHARGE}
                    group by c.currency) b
         ) bill on true
        where (bill.charged is null or bill.most > 0)
          and (f.rank, f.id, f.task_id) > ($4::int, $5::bigint, $6::text)
        order by f.rank, f.id, f.task_id limit ${PAGE}`,
      [
        batchId,
        [...DISPUTE_KINDS],
        ANSWER,
        after === undefined ? -1 : DISPUTE_KINDS.indexOf(after.kind),
        after?.submissionId ?? 0,
        after?.taskId ?? '',
      ],
    );
    return rows;
  });
}
