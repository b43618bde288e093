import { codeOf, PRIVATE_CA, reasonOf, tlsTrouble } from '../../../database/connection-errors.ts';
import { VidbatchError } from '../../../core/errors.ts';
import { nameOfPlace, type RedisPlace } from './url.ts';

/**
 * Why Redis cannot be used, as an error with a code and what to do. `answered`: something took the connection. Messages
 * of ioredis contain no password: it keeps passwords in the command, which is not read here.
 */
export function redisTrouble(error: unknown, place: RedisPlace, { answered = false } = {}): VidbatchError {
  const reason = reasonOf(error);
  const trouble = (code: string, what: string, hint: string): VidbatchError =>
    new VidbatchError(code, `Redis at ${nameOfPlace(place)} ${what}`, { hint });

  if (/WRONGPASS|NOAUTH|NOPERM|invalid password|invalid username/i.test(reason)) {
    return trouble(
      'QUEUE_AUTH',
      reason.startsWith('NOAUTH') ? 'asks for a password' : `refuses the user or the password: ${reason}`,
      'Check both in REDIS_URL; special characters are percent-encoded. The user needs all commands that BullMQ uses, INFO among them.',
    );
  }
  if (/LOADING/.test(reason))
    return trouble('QUEUE_LOADING', 'is loading its data', 'Try again once it is done.');
  if (place.kind === 'sentinel' && /No such master|retry is disabled\.$/.test(reason)) {
    return trouble(
      'QUEUE_MASTER_UNKNOWN',
      `is not known: the Sentinels answer, and know no master of the name ${place.master}`,
      'The name comes after the hosts in REDIS_URL, and after `sentinel monitor` in the configuration of the Sentinels.',
    );
  }
  const tls = tlsTrouble(error);
  if (tls === 'certificate')
    return trouble('QUEUE_TLS', `shows a certificate that is not trusted: ${reason}`, PRIVATE_CA);
  if (tls === 'no-tls')
    return trouble(
      'QUEUE_TLS',
      `does not speak TLS there: ${reason}`,
      'For a connection without TLS: redis:// instead of rediss://.',
    );
  if (
    !place.tls &&
    answered &&
    (reason.startsWith('Connection is closed') ||
      reason.includes('Protocol error') ||
      codeOf(error) === 'ECONNRESET')
  ) {
    return trouble(
      'QUEUE_UNREACHABLE',
      'takes the connection and closes it without an answer',
      'If it speaks TLS: rediss:// instead of redis://.',
    );
  }
  if (reason.startsWith('Unknown RESP type')) {
    return trouble(
      'QUEUE_UNREACHABLE',
      'does not answer like a Redis server',
      'Check host and port in REDIS_URL; if it speaks TLS: rediss:// instead of redis://.',
    );
  }
  return trouble(
    'QUEUE_UNREACHABLE',
    `cannot be used: ${reason}`,
    place.tls && !answered
      ? 'Check REDIS_URL, and that the server runs and speaks TLS there.'
      : 'Check REDIS_URL, and that the server runs and can be reached from here.',
  );
}
