import { messageOf, VidbatchError } from '../core/errors.ts';

/**
 * Sockets and names; Postgres' classes 08 (connection exception), 28 (whom it lets in), 53300 (too many connections) and 57P
 * (operator intervention, starting up), and a server that became a replica.
 */
const CODES =
  /^(ECONNRESET|ECONNREFUSED|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|08...|28...|53300|57P..|25006)$/;
/** pg and ioredis have no codes for these. */
const WORDS =
  /Connection (is closed|terminated)|not queryable|timeout exceeded when trying to connect|timeout expired|Socket timeout|Too many Cluster redirections|None of startup nodes|READONLY|LOADING|CLUSTERDOWN|MASTERDOWN/;

/** Whether this is an engine's being away, rather than what it thinks of what it was asked. */
export function isOutage(error: unknown): boolean {
  if (error instanceof VidbatchError || !(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  return (typeof code === 'string' && CODES.test(code)) || WORDS.test(error.message);
}

/**
 * A connection to Postgres or Redis that broke in the middle, told as such; undefined when the error is another. What is
 * sent waits for its ledger by itself; a command that only asks, or has not begun to send, ends with this.
 */
export function connectionLost(error: unknown): VidbatchError | undefined {
  if (!isOutage(error)) return undefined;
  return new VidbatchError(
    'CONNECTION_LOST',
    `the connection to the ledger or the queue broke: ${messageOf(error)}`,
    { hint: 'Nothing is lost by it: run the same command again once the server is back.', cause: error },
  );
}
