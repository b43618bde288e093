import type { Queryable, QueryResult } from '../../database/database.ts';

/** The one row of a query that always has one. */
export async function readOne<Row>(
  db: Queryable,
  text: string,
  params: readonly unknown[] = [],
): Promise<Row> {
  const [row] = (await db.query<Row>(text, params)).rows;
  if (row === undefined) throw new Error('the ledger has no meta row; run `vidbatch migrate`');
  return row;
}

/** The column `n` of the first row; 0 without a row. */
export async function readCount(
  db: Queryable,
  text: string,
  params: readonly unknown[] = [],
): Promise<number> {
  const { rows } = await db.query<{ n: number }>(text, params);
  return rows[0]?.n ?? 0;
}

/** Rows, page by page: memory stays constant, and no cursor is held open. `read` gets the last row of the page before. */
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

/** Questions that are asked of every batch alike are few, and come again soon. */
const REMEMBERED = 200;

/**
 * Answers a question that was asked a moment ago as before. `status` reads the same of thousands of batches, and half of
 * its questions are about the provider, the workers and the ledger. Do not use it for what decides or writes.
 */
export function cachedQueries(db: Queryable): Queryable {
  const answers = new Map<string, Promise<QueryResult<unknown>>>();
  return {
    query<Row>(text: string, params: readonly unknown[] = []) {
      const question = JSON.stringify([text, params]);
      const answer = answers.get(question) ?? db.query<unknown>(text, params);
      // The question that was asked last is forgotten last.
      answers.delete(question);
      answers.set(question, answer);
      for (const oldest of answers.keys()) {
        if (answers.size <= REMEMBERED) break;
        answers.delete(oldest);
      }
      return answer as Promise<QueryResult<Row>>;
    },
  };
}
