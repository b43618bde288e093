import { AsyncLocalStorage } from 'node:async_hooks';
import type { FastifyInstance } from 'fastify';
import type { Queryable, QueryResult } from '../database/database.ts';
import type { ChangeWatch } from './change-watch.ts';

/** The script of a page sends it when it fetches the page again. */
export const LIVE_HEADER = 'x-vidbatch-live';

const live = new AsyncLocalStorage<true>();

/** Marks the requests that the script of an open page makes. `liveReads` answers only these from its store. */
export function markLiveRequests(server: FastifyInstance): void {
  server.addHook('onRequest', (request, _reply, done) => {
    if (request.headers[LIVE_HEADER] === undefined) done();
    else live.run(true, done);
  });
}

/**
 * Asks each query of open pages once between two changes, however many pages are open. A person who opens a page gets a
 * new answer: it must show what that person has just done.
 */
export function liveReads(db: Queryable, watch: Pick<ChangeWatch, 'version'>): Queryable {
  const answers = new Map<string, Promise<QueryResult<unknown>>>();
  let version = -1;
  return {
    query<Row>(text: string, params: readonly unknown[] = []) {
      if (live.getStore() === undefined) return db.query<Row>(text, params);
      if (version !== watch.version) answers.clear();
      version = watch.version;
      const key = JSON.stringify([text, params]);
      const answer = answers.get(key) ?? db.query<unknown>(text, params);
      answers.set(key, answer);
      // The next request may find a ledger that answers again.
      answer.catch(() => answers.delete(key));
      return answer as Promise<QueryResult<Row>>;
    },
  };
}
