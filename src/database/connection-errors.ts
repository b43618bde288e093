import { messageOf, VidbatchError } from '../core/errors.ts';

/* What errors of a connection to Redis or Postgres mean. */

/**
 * Sockets and names; Postgres' classes 08 (connection exception), 28 (login refused), 53300 (too many connections) and 57P
 * (shutting down, starting up); a server that became a replica.
 */
const OUTAGE_CODES =
  /^(ECONNRESET|ECONNREFUSED|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|08...|28...|53300|57P..|25006)$/;
/** pg and ioredis have no codes for these. */
const OUTAGE_WORDS =
  /Connection (is closed|terminated)|not queryable|timeout exceeded when trying to connect|timeout expired|Socket timeout|Too many Cluster redirections|None of startup nodes|READONLY|LOADING|CLUSTERDOWN|MASTERDOWN/;

/** The server is away, rather than refusing a statement. */
export function isOutage(error: unknown): boolean {
  if (error instanceof VidbatchError || !(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  return (typeof code === 'string' && OUTAGE_CODES.test(code)) || OUTAGE_WORDS.test(error.message);
}

/**
 * An error in words for a command that ends because a connection broke; undefined: it is another error. Workers wait for
 * their ledger instead.
 */
export function connectionLost(error: unknown): VidbatchError | undefined {
  if (!isOutage(error)) return undefined;
  return new VidbatchError(
    'CONNECTION_LOST',
    `the connection to the ledger or the queue broke: ${messageOf(error)}`,
    { hint: 'Nothing is lost by it: run the same command again once the server is back.', cause: error },
  );
}

const CERTIFICATE =
  /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|ERR_TLS_CERT_ALTNAME_INVALID|INVALID_CA|INVALID_PURPOSE)/;

/** Why a TLS handshake failed: the server's certificate, or a server without TLS. */
export function tlsTrouble(error: unknown): 'certificate' | 'no-tls' | undefined {
  const code = codeOf(error) ?? '';
  if (CERTIFICATE.test(code)) return 'certificate';
  return /^(ERR_SSL_|EPROTO)/.test(code) ? 'no-tls' : undefined;
}

export const PRIVATE_CA =
  'For a certificate of a private authority, name its file in NODE_EXTRA_CA_CERTS (before the command starts).';

/** Errors of several addresses of one host come as an AggregateError with an empty message. */
export function reasonOf(error: unknown): string {
  const first = firstOf(error);
  return messageOf(first) || (codeOf(first) ?? 'no reason given');
}

export function codeOf(error: unknown): string | undefined {
  const code: unknown = (firstOf(error) as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

function firstOf(error: unknown): unknown {
  return error instanceof AggregateError && error.errors.length > 0 ? (error.errors[0] as unknown) : error;
}

/** For `within`: the server did not answer in time. */
export function noAnswer(): never {
  throw new Error('no answer in time');
}
