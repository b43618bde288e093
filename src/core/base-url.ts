import { usageError, type VidbatchError } from './errors.ts';

/**
 * The provider's base URL without a trailing `/`, `/v1` or `/v1/video/generations`. Every request carries the key, so plain
 * http is allowed to this machine only, or with `allowHttp`.
 * @throws usageError that does not show the URL's credentials or query.
 */
export function normaliseBaseUrl(text: string, { allowHttp }: { allowHttp: boolean }): string {
  const trimmed = text.trim();
  const url = URL.parse(trimmed);
  if (url === null) throw wrong('is not a URL');
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw wrong('begins with neither https:// nor http://');
  if (url.username !== '' || url.password !== '') throw wrong('contains a user name or a password');
  if (/[?#]/.test(trimmed)) throw wrong('contains "?" or "#"');
  if (url.protocol === 'http:' && !allowHttp && !isThisMachine(url.hostname)) {
    throw usageError(
      'base-url-http',
      `the base URL is plain http to ${url.host}: other machines on the network could read the API key`,
      'Use https://, or --allow-http if you trust the network.',
    );
  }
  const path = url.pathname.replace(/\/+$/, '').replace(/\/v1(\/video\/generations)?$/, '');
  return `${url.origin}${path.replace(/\/+$/, '')}`;
}

function wrong(what: string): VidbatchError {
  return usageError('base-url', `the base URL ${what}; allowed is https://host[:port][/path]`);
}

/** `hostname` as the URL parser leaves it: IPv4 in four decimal parts, IPv6 shortened, with or without brackets. */
export function isThisMachine(hostname: string): boolean {
  return /^(localhost|\[::1\]|::1)$/i.test(hostname) || /^127(\.\d{1,3}){3}$/.test(hostname);
}
