import { excerpt } from '../excerpt.ts';

const reachable = 'the provider fetches it: it must be reachable by http(s)';

/** Why the provider could not fetch an image from `text`, which is trimmed already. */
export function urlFlaw(text: string): { rule: string; message: string } | undefined {
  if (isImageData(text)) return undefined;
  if (/^data:/i.test(text)) {
    return {
      rule: 'url-data',
      message: `${excerpt(text)} is not data:image/…;base64,… of base64 characters`,
    };
  }
  // The WHATWG parser forgives `https:/host` and `https:host`, which other parsers do not.
  if (!/^https?:\/\//i.test(text)) {
    return { rule: 'url-not-http', message: `${excerpt(text)} is not an http(s) URL; ${reachable}` };
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

/** What a vendor says about URLs that are valid as such. */
export function urlWarning(text: string): { rule: string; message: string } | undefined {
  if (isImageData(text)) {
    return {
      rule: 'url-data',
      message: 'a data URI may be refused, and makes the row large; an http(s) URL is safe',
    };
  }
  const url = URL.parse(text);
  if (url === null || (url.username === '' && url.password === '')) return undefined;
  return {
    rule: 'url-credentials',
    message: `the URL of ${url.host} contains credentials, which are sent and kept`,
  };
}

/** No single pattern over the whole: backtracking over megabytes of base64 overflows the regexp engine's stack. */
function isImageData(text: string): boolean {
  const comma = /^data:image\/[a-z0-9.+-]{1,40};base64,/i.exec(text)?.[0].length;
  return comma !== undefined && text.length > comma && !/[^A-Za-z0-9+/=]/.test(text.slice(comma));
}
