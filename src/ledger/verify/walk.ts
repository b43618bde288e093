import type { Queryable } from '../../database/database.ts';
import { ATTEMPT_INVARIANTS, POLL_INVARIANTS, STATE_INVARIANTS } from './rows.ts';
import { GATE_INVARIANTS } from './gates.ts';
import { finding, IN_SLICE, EXPLAIN, type Finding, type Invariant, type Rule } from './invariant.ts';
import { BILL_INVARIANTS, BUDGET_INVARIANTS, PAYMENT_INVARIANTS } from './money.ts';
import { contentHash } from '../../core/identity.ts';
import { pageByPage } from '../read/query.ts';
import { queryUrlOf } from '../tasks/poll.ts';

/** The invariants that the ledger alone can check, money first. */
export const INVARIANTS: readonly Invariant[] = [
  ...PAYMENT_INVARIANTS,
  ...BUDGET_INVARIANTS,
  ...BILL_INVARIANTS,
  ...ATTEMPT_INVARIANTS,
  ...STATE_INVARIANTS,
  ...POLL_INVARIANTS,
  ...GATE_INVARIANTS,
];

/** Rows with `after` < id ≤ `last`. */
interface Slice {
  after: number;
  last: number;
  rows: number;
}

/** Few enough that the queries hardly delay workers, also on the one session of an embedded ledger. */
const SLICE_ROWS = 2_000;

/** The slices of a batch (null: of all), without a gap, and an empty one after the last row. */
export async function* readSlices(
  db: Queryable,
  batchId: number | null,
  size = SLICE_ROWS,
): AsyncGenerator<Slice> {
  for (let after = 0; ;) {
    const { rows } = await db.query<{ last: number | null; n: number }>(
      `select max(id) as last, count(*)::int as n
         from (select id from vidbatch.submission
                where id > $1 and ($2::bigint is null or batch_id = $2) order by id limit $3) s`,
      [after, batchId, size],
    );
    const { last = null, n = 0 } = rows[0] ?? {};
    yield { after, last: last ?? Number.MAX_SAFE_INTEGER, rows: n };
    if (last === null) return;
    after = last;
  }
}

export function checkSlice(
  db: Queryable,
  invariant: Invariant,
  { after, last }: Slice,
  batchId: number | null,
): Promise<Finding[]> {
  return look(db, invariant, 'order by v.submission_id, v.attempt_id', [after, last, batchId]);
}

/** Where the invariant is broken in the whole ledger: the next `limit` findings after the finding `after`. */
export function checkWhole(
  db: Queryable,
  invariant: Invariant,
  batchId: number | null,
  { after = '', limit = 1_000 } = {},
): Promise<Finding[]> {
  const page = `where ($1::bigint is null or v.batch_id = $1) and v.what collate "C" > $2
      order by v.what collate "C" limit $3`;
  return look(db, invariant, page, [batchId, after, limit]);
}

async function look(
  db: Queryable,
  invariant: Invariant,
  page: string,
  params: readonly unknown[],
): Promise<Finding[]> {
  const { rows } = await db.query<Pick<Finding, 'batch' | 'key' | 'attempt' | 'what'>>(
    `select b.name as batch, s.row_key as key, v.attempt_id as attempt, v.what
       from (${invariant.sql}) v
       left join vidbatch.submission s on s.id = v.submission_id
       left join vidbatch.batch b on b.id = v.batch_id
      ${page}`,
    params,
  );
  return rows.map((row) => finding(invariant, row));
}

/** A task id of the ledger, also a second one of a row. */
export interface KnownTask {
  taskId: string;
  /** The profile of its batch. */
  profileId: number;
  queryUrl: string | null;
  batch: string;
  key: string;
  /** The attempt of a surplus task, or of a task that was made again. */
  attempt: string | null;
  status: string | null;
  /** Accepted a few minutes ago: the provider may not know it yet. */
  fresh: boolean;
}

export async function readKnownTasks(
  db: Queryable,
  origin: string,
  { after, last }: Pick<Slice, 'after' | 'last'>,
  batchId: number | null,
): Promise<KnownTask[]> {
  const { rows } = await db.query<KnownTask>(
    `select t.task_id as "taskId", b.profile_id as "profileId", ${queryUrlOf('s.id', 't.task_id')} as "queryUrl", b.name as batch, s.row_key as key, t.attempt, t.status,
            coalesce(t.accepted_at, '-infinity') > now() - interval '10 minutes' as fresh
       from vidbatch.submission s
       join vidbatch.batch b on b.id = s.batch_id
      cross join lateral (
        select s.task_id, null::uuid as attempt, s.provider_status as status, s.submitted_at as accepted_at,
               coalesce((select a.origin from vidbatch.attempt a
                          where a.submission_id = s.id and a.task_id = s.task_id limit 1), b.origin) as origin
         where s.task_id is not null
        union all
        select a.task_id, a.id, k.status, a.finished_at, a.origin
          from vidbatch.attempt a
          left join vidbatch.task k on k.submission_id = a.submission_id and k.task_id = a.task_id
         where a.submission_id = s.id and (a.surplus or a.remade_at is not null)
      ) t
      where ${IN_SLICE} and t.origin = $4
      order by s.id`,
    [after, last, batchId, origin],
  );
  return rows;
}

/** Rules that SQL cannot check: JSON, and the hash of canonical JSON. */
export const CONTENT_RULES = {
  input: {
    name: 'input-json',
    holds: 'the row as it was read is kept, as JSON',
    severity: 'broken',
    next: 'submit its manifest again',
  },
  request: {
    name: 'request-json',
    holds: 'what is sent is a JSON object',
    severity: 'broken',
    next: EXPLAIN,
  },
  hash: {
    name: 'content-hash',
    holds: 'the hash of a row is that of its request: what was checked is what is sent',
    severity: 'broken',
    next: EXPLAIN,
  },
} as const satisfies Record<string, Rule>;

interface Content {
  id: number;
  batch: string;
  key: string;
  input: string;
  request: string | null;
  hash: string | null;
}

/** Rows of one query: a row may have megabytes. */
const PAGE = 200;

/** Reads the texts of every row once. One statement writes all texts of a row, so a second read would find the same. */
export async function* checkContent(db: Queryable, batchId: number | null): AsyncGenerator<Finding[]> {
  const rows = pageByPage(PAGE, async (after: Content | undefined) => {
    const page = await db.query<Content>(
      `select r.id, b.name as batch, r.row_key as key, r.input, r.request, r.content_hash as hash
         from vidbatch.row r join vidbatch.batch b on b.id = r.batch_id
        where r.id > $1 and ($2::bigint is null or r.batch_id = $2) order by r.id limit $3`,
      [after?.id ?? 0, batchId, PAGE],
    );
    return page.rows;
  });
  for await (const row of rows) {
    const found = judge(row);
    if (found.length > 0) yield found;
  }
}

function judge({ batch, key, input, request: text, hash }: Content): Finding[] {
  const found: Finding[] = [];
  const tell = (rule: Rule, what: string): void => void found.push(finding(rule, { batch, key, what }));
  if (parse(input) === undefined) tell(CONTENT_RULES.input, 'its input is not JSON');
  if (text === null) return found;
  const request = parse(text);
  if (typeof request !== 'object' || request === null || Array.isArray(request))
    tell(CONTENT_RULES.request, 'its request is not a JSON object');
  else if (hash !== null && hashOf(request) !== hash) {
    tell(CONTENT_RULES.hash, 'its request does not have its hash');
  }
  return found;
}

/** Undefined: the JSON has no canonical form. It has a lone surrogate or a number that is too large. */
function hashOf(request: object): string | undefined {
  try {
    return contentHash(request);
  } catch {
    return undefined;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
