import { STATES } from '../../core/states.ts';
import type { State } from '../../core/states.ts';
import type { Queryable } from '../../database/database.ts';

/** What a person looks for, over all batches. All parts that are given must fit. */
export interface Search {
  /** In the key, a task id, a request id, the prompt or the error; capitals do not matter. Empty: any row. */
  text: string;
  state?: State;
  /** `*` stands for any text. */
  model?: string;
  batch?: string;
  /** In the code or the text of the error. */
  error?: string;
  /** When the row last changed. */
  after?: Date;
  before?: Date;
}

export interface FoundRow {
  id: number;
  batch: string;
  key: string;
  line: number;
  state: State;
  model: string | null;
  taskId: string | null;
  providerStatus: string | null;
  errorCode: string | null;
  /** At most 500 characters. */
  error: string | null;
  /** The beginning of the prompt; null: the row is invalid. */
  prompt: string | null;
  updatedAt: Date;
}

/** At most `limit` rows: those whose key or task id is the text come first. */
export async function findRows(db: Queryable, search: Search, limit: number): Promise<FoundRow[]> {
  const like = (text: string): string => `%${escaped(text)}%`;
  const { rows } = await db.query<FoundRow>(
    `with exact as materialized (
       select r.id from vidbatch.batch b join vidbatch.row r on r.batch_id = b.id and r.row_key = $1 where $1 <> ''
       union
       select s.id from vidbatch.row_state s where s.task_id = $1
       union
       select a.submission_id from vidbatch.attempt a where a.task_id = $1
     ), fit as (
       select r.id, b.name as batch, r.row_key as key, r.line, s.state, s.model, s.task_id as "taskId",
              s.provider_status as "providerStatus", s.error_code as "errorCode", left(s.error, 500) as error,
              r.request, s.updated_at as "updatedAt"
         from vidbatch.row_state s
         join vidbatch.row r on r.id = s.id
         join vidbatch.batch b on b.id = s.batch_id
        where ($4::text is null or s.state = $4) and ($5::text is null or s.model like $5) and ($6::text is null or b.name = $6)
          and ($7::text is null or s.error_code ilike $7 or s.error ilike $7)
          and ($8::timestamptz is null or s.updated_at >= $8) and ($9::timestamptz is null or s.updated_at < $9)
     ), found as (
       (select 0 as rank, fit.* from fit where id in (select id from exact) limit $10)
       union all
       (select 1, fit.* from fit
         where id not in (select id from exact)
           and ($1 = '' or key ilike $2 or "taskId" ilike $2 or error ilike $2 or "errorCode" ilike $2 or request ilike $3
                or exists (select from vidbatch.attempt a where a.submission_id = fit.id and a.request_id ilike $2))
         limit $10)
     )
     select id, batch, key, line, state, model, "taskId", "providerStatus", "errorCode", error, "updatedAt",
            left(case when octet_length(request) < 65536 then request::json ->> 'prompt' end, 160) as prompt
       from found order by rank, "updatedAt" desc, id limit $10`,
    [
      search.text,
      like(search.text),
      // The request is JSON text.
      like(JSON.stringify(search.text).slice(1, -1)),
      search.state ?? null,
      search.model === undefined ? null : escaped(search.model).replaceAll('*', '%'),
      search.batch ?? null,
      search.error === undefined ? null : like(search.error),
      search.after ?? null,
      search.before ?? null,
      limit,
    ],
  );
  return rows;
}

function escaped(text: string): string {
  return text.replaceAll(/[\\%_]/g, String.raw`\$&`);
}

/** Names before a colon that choose rows. Every other word is text. */
export const QUALIFIERS = ['state', 'model', 'batch', 'error', 'after', 'before'] as const;
type Qualifier = (typeof QUALIFIERS)[number];

export type ReadSearch = { search: Search } | { fault: string };

const QUALIFIED = new RegExp(String.raw`(?<!\S)(${QUALIFIERS.join('|')}):(?:"([^"]*)"|(\S+))`, 'g');

/** Reads `harbour state:uncertain error:"bad gateway"`. `parseTime` returns undefined for what is not a time. */
export function readSearch(words: string, parseTime: (text: string) => Date | undefined): ReadSearch {
  const search: Search = { text: words.replaceAll(QUALIFIED, ' ').trim().replaceAll(/\s+/g, ' ') };
  for (const [, name, quoted, plain = ''] of words.matchAll(QUALIFIED)) {
    const qualifier = QUALIFIERS.find((known) => known === name);
    const fault = qualifier && put(search, qualifier, quoted ?? plain, parseTime);
    if (fault !== undefined) return { fault };
  }
  return { search };
}

function put(
  search: Search,
  name: Qualifier,
  value: string,
  parseTime: (text: string) => Date | undefined,
): string | undefined {
  if (name === 'state') {
    const state = STATES.find((known) => known === value);
    if (state === undefined) return `state:${value} is not one of ${STATES.join(', ')}`;
    search.state = state;
  } else if (name === 'after' || name === 'before') {
    const time = parseTime(value);
    if (time === undefined) return `${name}:${value} is not a time such as 2026-03-01 or 2026-03-01T18:00Z`;
    search[name] = time;
  } else search[name] = value;
  return undefined;
}
