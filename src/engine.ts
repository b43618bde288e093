import { messageOf, usageError } from './errors.ts';

/** Connection errors of several addresses come as an AggregateError with an empty message. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0]);
  return messageOf(error) || ((error as { code?: string } | undefined)?.code ?? 'no reason given');
}

/** Host, port and database of a URL: never its user or password. */
export function placeOf(url: string, name: string): string {
  try {
    const { host, pathname } = new URL(url);
    return `${host}${pathname === '/' ? '' : pathname}`;
  } catch {
    throw usageError(
      'BAD_URL',
      `${name} is not a URL`,
      'For example redis://localhost:6379 or postgres://user@host:5432/database.',
    );
  }
}
