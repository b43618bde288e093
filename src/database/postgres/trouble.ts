import { codeOf, PRIVATE_CA, reasonOf, tlsTrouble } from '../engine.ts';
import { VidbatchError } from '../../core/errors.ts';
import type { PostgresPlace } from './url.ts';

/** Why Postgres cannot be used, as an error with a code and what to do. */
export function postgresTrouble(error: unknown, place: PostgresPlace): VidbatchError {
  const reason = reasonOf(error);
  const code = codeOf(error) ?? '';
  const trouble = (name: string, what: string, hint: string): VidbatchError =>
    new VidbatchError(name, `Postgres at ${place.name} ${what}`, { hint });

  if (/does not support SSL|error establishing an SSL/.test(reason) || tlsTrouble(error) === 'no-tls') {
    return trouble(
      'LEDGER_TLS',
      `does not speak TLS: ${reason}`,
      'For a connection without TLS: no sslmode in DATABASE_URL, or sslmode=disable.',
    );
  }
  if (tlsTrouble(error) === 'certificate') {
    return trouble(
      'LEDGER_TLS',
      `shows a certificate that is not trusted: ${reason}`,
      `${PRIVATE_CA} Or name it in DATABASE_URL: sslrootcert=/path/ca.pem. sslmode=no-verify would trust anybody.`,
    );
  }
  if (code === '28000' && /no encryption|SSL off/.test(reason)) {
    return trouble('LEDGER_TLS', `asks for TLS: ${reason}`, 'Add sslmode=verify-full to DATABASE_URL.');
  }
  if (code.startsWith('28') || /password must be a string|^SASL/.test(reason)) {
    return trouble(
      'LEDGER_AUTH',
      `refuses the user or the password: ${reason}`,
      'Check both in DATABASE_URL; special characters are percent-encoded.',
    );
  }
  if (code === '57P03') {
    return trouble('LEDGER_LOADING', `is not ready: ${reason}`, 'Try again once it is.');
  }
  if (code === '3D000') {
    return trouble(
      'LEDGER_UNREACHABLE',
      `cannot be used: ${reason}`,
      'If rows were sent before, correct the name in DATABASE_URL: a new database would pay for them again. If not, make it with createdb.',
    );
  }
  return trouble(
    'LEDGER_UNREACHABLE',
    `cannot be used: ${reason}`,
    'Check DATABASE_URL, and that the server runs and can be reached from here.',
  );
}
