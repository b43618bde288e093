import { messageOf } from '../core/errors.ts';

/** What a server's refusal or silence comes down to, for Redis and Postgres alike. */
export type TlsTrouble = 'certificate' | 'no-tls';

const CERTIFICATE =
  /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|ERR_TLS_CERT_ALTNAME_INVALID|INVALID_CA|INVALID_PURPOSE)/;

/** A handshake that failed: by what the server showed, or because it does not speak TLS there at all. */
export function tlsTrouble(error: unknown): TlsTrouble | undefined {
  const code = codeOf(error) ?? '';
  if (CERTIFICATE.test(code)) return 'certificate';
  return /^(ERR_SSL_|EPROTO)/.test(code) ? 'no-tls' : undefined;
}

/** A private certificate authority is told to both in the same way. */
export const PRIVATE_CA =
  'For a certificate of a private authority, name its file in NODE_EXTRA_CA_CERTS (before the command starts).';

/** Errors of several addresses of one host come as an AggregateError with an empty message. */
export function reasonOf(error: unknown): string {
  const one = firstOf(error);
  return messageOf(one) || (codeOf(one) ?? 'no reason given');
}

export function codeOf(error: unknown): string | undefined {
  const code: unknown = (firstOf(error) as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

function firstOf(error: unknown): unknown {
  return error instanceof AggregateError && error.errors.length > 0 ? (error.errors[0] as unknown) : error;
}

/** Rejects with `late()` when the work is not done in time; the work is then given up by whoever closes what it uses. */
export async function within<T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  const expired = Promise.withResolvers<never>();
  const timer = setTimeout(() => expired.reject(late()), ms);
  work.catch(() => undefined);
  try {
    return await Promise.race([work, expired.promise]);
  } finally {
    clearTimeout(timer);
  }
}
