import type { Queryable, QueryResult } from '../../database/database.ts';

export async function readOne<Row>(
  db: Queryable,
  text: string,
  params: readonly unknown[] = [],
): Promise<Row> {
  const [row] = (await db.query<Row>(text, params)).rows;
  if (row === undefined) throw new Error('the ledger has no meta row; run `vidbatch migrate`');
  return row;
}

/** SQL of a column that holds the rows of `query` as a JSON list. `order` names columns of the query. */
export const listOf = (query: string, order: string): string =>
  `(select coalesce(json_agg(one order by ${order}), '[]') from (${query}) one)`;

/** The column `n` of the first row; 0: there is no row. */
export async function readCount(
  db: Queryable,
  text: string,
  params: readonly unknown[] = [],
): Promise<number> {
  const { rows } = await db.query<{ n: number }>(text, params);
  return rows[0]?.n ?? 0;
}

/** Rows, page by page, so that memory is constant and no cursor is open. `read` gets the last row of the page before. */
export async function* pageByPage<Row>(
  size: number,
  read: (after: Row | undefined) => Promise<Row[]>,
): AsyncGenerator<Row> {
  for (let after: Row | undefined; ;) {
    const rows = await read(after);
    yield* rows;
    after = rows.at(-1);
    if (after === undefined || rows.length < size) return;
  }
}

/** Few queries are the same for all batches, and those come again soon. */
const REMEMBERED = 200;

/**
 * Remembers the answers to the latest queries. `status` reads thousands of batches, and half of its queries are about the
 * provider, the workers and the ledger. Do not use it for queries that decide or write.
 */
export function cachedQueries(db: Queryable): Queryable {
  const answers = new Map<string, Promise<QueryResult<unknown>>>();
  return {
    query<Row>(text: string, params: readonly unknown[] = []) {
      const key = JSON.stringify([text, params]);
      const answer = answers.get(key) ?? db.query<unknown>(text, params);
      // The latest query is forgotten last.
      answers.delete(key);
      answers.set(key, answer);
      for (const oldest of answers.keys()) {
        if (answers.size <= REMEMBERED) break;
        answers.delete(oldest);
      }
      return answer as Promise<QueryResult<Row>>;
    },
  };
}
