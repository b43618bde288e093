import type { Queryable, QueryResult } from '../../database/database.ts';

/** Those that are asked of every batch alike are few, and come again soon. */
const REMEMBERED = 200;

/**
 * One look at the ledger: what was asked in it a moment ago is answered as before. For reading the same of thousands of
 * batches, where half of all questions are about the provider, the workers and the ledger. Never for what decides or writes.
 */
export function oneLook(db: Queryable): Queryable {
  const answers = new Map<string, Promise<QueryResult<unknown>>>();
  return {
    query<Row>(text: string, params: readonly unknown[] = []) {
      const question = JSON.stringify([text, params]);
      const answer = answers.get(question) ?? db.query<unknown>(text, params);
      // The last one to be asked is the last one to be forgotten.
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
