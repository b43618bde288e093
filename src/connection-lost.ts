import { messageOf, VidbatchError } from './errors.ts';

/** Sockets; Postgres' classes 08 (connection exception) and 57P (operator intervention). */
const CODES = /^(ECONNRESET|ECONNREFUSED|EPIPE|ETIMEDOUT|08...|57P..)$/;
/** pg and ioredis have no codes for these. */
const WORDS = /Connection (is closed|terminated)|not queryable|timeout exceeded when trying to connect/;

/**
 * A connection to Postgres or Redis that broke in the middle, told as such; undefined when the error is another. What is
 * sent waits for its ledger by itself; a command that only asks, or has not begun to send, ends with this.
 */
export function connectionLost(error: unknown): VidbatchError | undefined {
  if (error instanceof VidbatchError || !(error instanceof Error)) return undefined;
  const { code } = error as { code?: unknown };
  if (!(typeof code === 'string' && CODES.test(code)) && !WORDS.test(error.message)) return undefined;
  return new VidbatchError(
    'CONNECTION_LOST',
    `the connection to the ledger or the queue broke: ${messageOf(error)}`,
    { hint: 'Nothing is lost by it: run the same command again once the server is back.', cause: error },
  );
}
