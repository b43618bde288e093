import type { IncomingHttpHeaders } from 'node:http';

/**
 * Whether a writing request comes from one of this board's own pages, or from no page at all. A browser sends a person's
 * credentials along with whatever any other page asks for.
 *
 * The browser's own word (`Sec-Fetch-Site`) counts first; over plain HTTP it says only `Origin`, of which the host has
 * to be ours: the scheme is not known here behind a proxy that ends TLS. What says nothing and calls itself a browser
 * is refused; a program that says nothing had to know the password by itself.
 */
export function mayWrite(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin';
  const from = headers.origin ?? headers.referer;
  if (from !== undefined) return isHost(from, headers.host);
  return !/^mozilla\//i.test(headers['user-agent'] ?? '');
}

/** Whether a reading request may be answered: another site's page may send its visitor here, and not look in by itself. */
export function mayRead(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  if (site === undefined || site === 'same-origin' || site === 'none') return true;
  return headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
}

function isHost(url: string, host: string | undefined): boolean {
  try {
    return host !== undefined && new URL(url).host === host.toLowerCase();
  } catch {
    // `Origin: null`, of a page that hides where it is from.
    return false;
  }
}
