import ipaddr from 'ipaddr.js';
import { excerpt, formatCodePoint } from '../../core/text.ts';
import { type Flaw, flaw } from './text-flaws.ts';

/** Zero width characters, soft hyphens, direction marks, byte order marks. */
const INVISIBLE = /[\u00AD\u180E\u200B-\u200F\u202A-\u202E\u2060-\u2069\uFEFF]/u;
const SEPARATORS = /[\s,;，；、｜|]+(?=https?:\/\/)/i;

/** The URLs of one text. A separator counts only before another URL, because a URL may hold commas. */
export function splitUrls(text: string): string[] {
  return text
    .split(SEPARATORS)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** Why the provider could not fetch an image from `text`, which is trimmed. */
export function urlFlaw(text: string): Flaw | undefined {
  const found = excerpt(text);
  if (isImageData(text)) return undefined;
  if (/^data:/i.test(text)) {
    return flaw('url-data', `${found} is not data:image/…;base64,… of base64 characters`);
  }
  const unseen = INVISIBLE.exec(text);
  if (unseen !== null) {
    const where = `${formatCodePoint(unseen[0])} at position ${unseen.index + 1}`;
    return flaw('url-invisible-character', `holds the invisible character ${where}; remove it`);
  }
  // The WHATWG parser accepts `https:/host` and `https:host`; other parsers do not.
  if (!/^https?:\/\//i.test(text)) {
    return flaw(
      'url-not-http',
      `${found} is not an http(s) URL${meantUrl(text)}; the provider fetches it: it must be reachable by http(s)`,
    );
  }
  const { length } = splitUrls(text);
  if (length > 1) return flaw('url-several', `${found} holds ${length} URLs, and one is allowed here`);
  // The parser drops line breaks and escapes blanks, so it accepts text that is sent otherwise.
  if (/[\s\p{Cc}]/u.test(text)) {
    return flaw('url-whitespace', `${found} contains white space; write %20 for a blank`);
  }
  const host = URL.parse(text)?.hostname ?? '';
  return host === '' ? flaw('url-invalid', `${found} is not a valid URL with a host`) : undefined;
}

/** The URL that was meant, for a message: `https：//` in full width, or a URL in brackets, quotes or a formula. */
function meantUrl(text: string): string {
  const plain = text.slice(0, 500).normalize('NFKC');
  const [url] = /https?:\/\/[^\s"'<>()[\]]+/i.exec(plain) ?? [];
  if (url === undefined) return '';
  const wide = Array.from(text).find((character) => character.normalize('NFKC') !== character);
  return wide !== undefined && /^https?:\/\//i.test(plain)
    ? `: it holds ${excerpt(wide)} (${formatCodePoint(wide)}); write ${excerpt(url)}`
    : `; write ${excerpt(url)} alone`;
}

/** What may keep the provider from fetching a valid URL. */
export function urlWarnings(text: string): Flaw[] {
  if (isImageData(text)) {
    return [flaw('url-data', 'a data URI may be refused, and makes the row large; an http(s) URL is safe')];
  }
  const url = URL.parse(text);
  if (url === null) return [];
  const foreign = /[^\u0020-\u007E]/u.exec(text);
  const [last = ''] = /[,;"'|>]$/.exec(text) ?? [];
  return [
    url.username !== '' || url.password !== ''
      ? flaw('url-credentials', `the URL of ${url.host} contains credentials, which are sent and kept`)
      : undefined,
    isPrivate(url.hostname)
      ? flaw(
          'url-private-host',
          `${url.host} is an address of a private network, which the provider can hardly reach`,
        )
      : undefined,
    foreign === null
      ? undefined
      : flaw(
          'url-not-ascii',
          `holds ${excerpt(foreign[0])} (${formatCodePoint(foreign[0])}) at position ${foreign.index + 1}, which some servers refuse; the same in ASCII is ${excerpt(url.href)}`,
        ),
    /%(?![0-9a-f]{2})/i.test(text)
      ? flaw(
          'url-percent',
          `${excerpt(text)} holds a % without two hexadecimal digits; a percent sign is written %25`,
        )
      : undefined,
    last === '' ? undefined : flaw('url-end', `ends with ${excerpt(last)}, which is part of the URL`),
  ].filter((found) => found !== undefined);
}

/** An address of this machine or its network. */
function isPrivate(hostname: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  if (ipaddr.isValid(host)) return ipaddr.process(host).range() !== 'unicast';
  return (
    host === 'localhost' || /\.(?:localhost|local|internal|lan|home\.arpa)$/.test(host) || !host.includes('.')
  );
}

/** Not one pattern, because backtracking over megabytes of base64 overflows the stack. */
function isImageData(text: string): boolean {
  const comma = /^data:image\/[a-z0-9.+-]{1,40};base64,/i.exec(text)?.[0].length;
  return comma !== undefined && text.length > comma && !/[^A-Za-z0-9+/=]/.test(text.slice(comma));
}
