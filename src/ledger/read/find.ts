import { STATES, type State } from '../../core/states.ts';
import type { Queryable } from '../../database/database.ts';

/** What a person looks for, over all batches. All parts that are given must fit. */
export interface Search {
  /** A whole key, task id or request id, or a part of a key, the prompt or the error; capitals do not matter. Empty: any row. */
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

/**
 * At most `limit` rows, the newest change first. A whole key, task id or request id finds its rows alone. Every other text is
 * looked for in each table alone: a search in joined tables took eight times as long for a million rows (measured). `*` in
 * the text stands for any text.
 */
export async function findRows(db: Queryable, search: Search, limit: number): Promise<FoundRow[]> {
  const { text } = search;
  if (text === '') return select(db, search, undefined, [], limit);
  const exact = text.includes('*') ? [] : await select(db, search, exactly(text), [text], limit);
  if (exact.length > 0) return exact;
  // The request is JSON text.
  const inRequest = likeOf(JSON.stringify(text).slice(1, -1));
  return select(db, search, containing(text), [likeOf(text), inRequest], limit);
}

/** Makes `candidate`, the ids among which the conditions then choose: the items of a WITH clause. */
type Candidates = (conditions: string, limit: string) => string;

/**
 * The task id of a row is that of one of its attempts (`verify`: submitted-accepted). To look for one reads all attempts,
 * and no id of a provider has a space.
 */
const exactly = (text: string): Candidates => {
  const byKey =
    'select r.id from vidbatch.batch b join vidbatch.row r on r.batch_id = b.id and r.row_key = $1';
  const byId = 'select a.submission_id from vidbatch.attempt a where a.task_id = $1 or a.request_id = $1';
  return () => `candidate as materialized (${/\s/.test(text) ? byKey : `${byKey} union ${byId}`})`;
};

/**
 * Postgres plans each materialized part as if all of it were read, and so in parallel; it still stops at the limit. The
 * collation "C" folds the letters of ASCII alone, and a text without any is not folded: each takes half of the time.
 * Capitals of a task id matter.
 */
const containing = (text: string): Candidates => {
  const folded = (part: string): string =>
    /[a-z]/i.test(text) ? `lower(${part} collate "C")` : `${part} collate "C"`;
  const like = (column: string, pattern: string): string => `${folded(column)} like ${folded(pattern)}`;
  return (conditions, limit) => `
    in_row as materialized (
      select r.id from ${conditions === '' ? 'vidbatch.row r' : TABLES}
       where (${like('r.request', '$2')} or ${like('r.row_key', '$1')}) ${conditions}),
    in_state as materialized (
      select s.id from ${conditions === '' ? 'vidbatch.row_state s' : TABLES}
       where (s.task_id like $1 or ${like('s.error', '$1')} or ${like('s.error_code', '$1')}) ${conditions}),
    candidate as materialized (
      (select id from in_row limit ${limit}) union (select id from in_state limit ${limit}))`;
};

const TABLES =
  'vidbatch.row_state s join vidbatch.row r on r.id = s.id join vidbatch.batch b on b.id = s.batch_id';

async function select(
  db: Queryable,
  search: Search,
  candidates: Candidates | undefined,
  values: readonly unknown[],
  limit: number,
): Promise<FoundRow[]> {
  const all = [...values];
  const bind = (value: unknown): string => `$${all.push(value)}`;
  const most = bind(limit);
  const conditions = conditionsOf(search, bind)
    .map((one) => ` and ${one}`)
    .join('');
  const chosen = candidates === undefined ? '' : `and s.id in (select id from candidate)`;
  const { rows } = await db.query<FoundRow>(
    `${candidates === undefined ? '' : `with ${candidates(conditions, most)}`}
     select r.id, b.name as batch, r.row_key as key, r.line, s.state, s.model, s.task_id as "taskId",
            s.provider_status as "providerStatus", s.error_code as "errorCode", left(s.error, 500) as error,
            s.updated_at as "updatedAt",
            left(case when octet_length(r.request) < 65536 then r.request::json ->> 'prompt' end, 160) as prompt
       from ${TABLES}
      where true ${chosen} ${conditions}
      order by s.updated_at desc, s.id limit ${most}`,
    all,
  );
  return rows;
}

/** Conditions for the qualifiers that are given. */
function conditionsOf(
  { state, model, batch, error, after, before }: Search,
  bind: (value: unknown) => string,
): string[] {
  const conditions: string[] = [];
  if (state !== undefined) conditions.push(`s.state = ${bind(state)}`);
  if (model !== undefined) conditions.push(`s.model like ${bind(likeOf(model, ''))}`);
  if (batch !== undefined) conditions.push(`b.name = ${bind(batch)}`);
  if (error !== undefined) {
    const like = bind(likeOf(error));
    conditions.push(`(s.error_code ilike ${like} or s.error ilike ${like})`);
  }
  if (after !== undefined) conditions.push(`s.updated_at >= ${bind(after)}`);
  if (before !== undefined) conditions.push(`s.updated_at < ${bind(before)}`);
  return conditions;
}

/** A pattern of LIKE. `around` comes before and after the text; `%` means that the text may be anywhere. */
function likeOf(text: string, around = '%'): string {
  return `${around}${escaped(text).replaceAll('*', '%')}${around}`;
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
