import ipaddr from 'ipaddr.js';
import { excerpt } from '../../core/excerpt.ts';
import type { Flaw } from './unwritten.ts';

const reachable = 'the provider fetches it: it must be reachable by http(s)';

/** Characters that nobody sees: zero width, soft hyphen, direction marks, a byte order mark. */
const INVISIBLE = /[\u00AD\u180E\u200B-\u200F\u202A-\u202E\u2060-\u2069\uFEFF]/u;
/** Characters that stand between URLs in one cell. */
const SEPARATORS = /[\s,;，；、｜|]+(?=https?:\/\/)/i;

/** The URLs of one text: it is split only where each part begins as a URL, since a URL may hold commas itself. */
export function splitUrls(text: string): string[] {
  return text
    .split(SEPARATORS)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** Why the provider could not fetch an image from `text`, which is trimmed already. */
export function urlFlaw(text: string): Flaw | undefined {
  if (isImageData(text)) return undefined;
  if (/^data:/i.test(text)) {
    return {
      rule: 'url-data',
      message: `${excerpt(text)} is not data:image/…;base64,… of base64 characters`,
    };
  }
  const unseen = INVISIBLE.exec(text);
  if (unseen !== null) {
    return {
      rule: 'url-invisible-character',
      message: `holds the invisible character ${codeOf(unseen[0])} at position ${unseen.index + 1}; remove it`,
    };
  }
  // The WHATWG parser forgives `https:/host` and `https:host`, which other parsers do not.
  if (!/^https?:\/\//i.test(text)) {
    return {
      rule: 'url-not-http',
      message: `${excerpt(text)} is not an http(s) URL${meantUrl(text)}; ${reachable}`,
    };
  }
  const { length } = splitUrls(text);
  if (length > 1) {
    return { rule: 'url-several', message: `${excerpt(text)} holds ${length} URLs, and one is allowed here` };
  }
  // It also drops line breaks and escapes blanks, so that what it accepts is not what would be sent.
  if (/[\s\p{Cc}]/u.test(text)) {
    return {
      rule: 'url-whitespace',
      message: `${excerpt(text)} contains white space; write %20 for a blank`,
    };
  }
  const host = URL.parse(text)?.hostname ?? '';
  return host === ''
    ? { rule: 'url-invalid', message: `${excerpt(text)} is not a valid URL with a host` }
    : undefined;
}

/** What was meant, for a message: `https：//` in full width, or a URL in brackets, quotes or a formula. */
function meantUrl(text: string): string {
  const plain = text.slice(0, 500).normalize('NFKC');
  const [url] = /https?:\/\/[^\s"'<>()[\]]+/i.exec(plain) ?? [];
  if (url === undefined) return '';
  const wide = Array.from(text).find((character) => character.normalize('NFKC') !== character);
  return wide !== undefined && /^https?:\/\//i.test(plain)
    ? `: it holds ${excerpt(wide)} (${codeOf(wide)}); write ${excerpt(url)}`
    : `; write ${excerpt(url)} alone`;
}

function codeOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}

/** What may keep the provider from fetching a URL that is valid as such. */
export function urlWarnings(text: string): Flaw[] {
  if (isImageData(text)) {
    const message = 'a data URI may be refused, and makes the row large; an http(s) URL is safe';
    return [{ rule: 'url-data', message }];
  }
  const url = URL.parse(text);
  if (url === null) return [];
  const warnings: Flaw[] = [];
  if (url.username !== '' || url.password !== '') {
    const message = `the URL of ${url.host} contains credentials, which are sent and kept`;
    warnings.push({ rule: 'url-credentials', message });
  }
  if (isPrivate(url.hostname)) {
    const message = `${url.host} is an address of a private network, which the provider can hardly reach`;
    warnings.push({ rule: 'url-private-host', message });
  }
  const foreign = /[^\u0020-\u007E]/u.exec(text);
  if (foreign !== null) {
    const message = `holds ${excerpt(foreign[0])} (${codeOf(foreign[0])}) at position ${foreign.index + 1}, which some servers refuse; the same in ASCII is ${excerpt(url.href)}`;
    warnings.push({ rule: 'url-not-ascii', message });
  }
  if (/%(?![0-9a-f]{2})/i.test(text)) {
    const message = `${excerpt(text)} holds a % without two hexadecimal digits; a percent sign is written %25`;
    warnings.push({ rule: 'url-percent', message });
  }
  const [last = ''] = /[,;"'|>]$/.exec(text) ?? [];
  if (last !== '') {
    warnings.push({ rule: 'url-end', message: `ends with ${excerpt(last)}, which is part of the URL` });
  }
  return warnings;
}

/** Of this machine or its network; a name is judged by its end. */
function isPrivate(hostname: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  if (ipaddr.isValid(host)) return ipaddr.process(host).range() !== 'unicast';
  return (
    host === 'localhost' || /\.(?:localhost|local|internal|lan|home\.arpa)$/.test(host) || !host.includes('.')
  );
}

/** No single pattern over the whole: backtracking over megabytes of base64 overflows the regexp engine's stack. */
function isImageData(text: string): boolean {
  const comma = /^data:image\/[a-z0-9.+-]{1,40};base64,/i.exec(text)?.[0].length;
  return comma !== undefined && text.length > comma && !/[^A-Za-z0-9+/=]/.test(text.slice(comma));
}
