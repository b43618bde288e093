import { isPlainObject, parseJson } from '../core/json.ts';

export type Json = Readonly<Record<string, unknown>>;

/** The JSON value of a text; undefined: it is not JSON. A whole number that a double would change becomes a bigint. */
export function parseValue(text: string): unknown {
  return parseJson(text, LONG_NUMBER.test(text) ? exact : undefined)?.value;
}

const LONG_NUMBER = /\d{16}/;

function exact(_key: string, value: unknown, { source = '' }: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return /^-?\d{16,512}$/.test(source) ? BigInt(source) : value;
}

export function asObject(value: unknown): Json | undefined {
  return isPlainObject(value) ? value : undefined;
}

/** Some gateways put words around the vendor's JSON, as in `status_code: 400, body: {…}`, or encode it twice. */
export function parseEmbedded(text: string): Json | undefined {
  const parsed = parseJson(text);
  if (parsed === undefined)
    return asObject(parseValue(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)));
  return typeof parsed.value === 'string' ? asObject(parseValue(parsed.value)) : asObject(parsed.value);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}

export function textIn(value: unknown): string | undefined {
  return isText(value) ? value : undefined;
}

/** The title of a page, or plain words. */
export function plainMessage(text: string): string | undefined {
  const trimmed = text.slice(0, 65_536).trim();
  if (!trimmed.startsWith('<')) return trimmed === '' ? undefined : trimmed;
  return /<title[^>]*>([^<]+)/i.exec(trimmed)?.[1] ?? 'a page instead of JSON';
}

/** An empty line, a comment or a field of server-sent events. */
const EVENT_LINE = /^(?:$|:|(?:data|event|id|retry)(?::|$))/;
const LINE_END = /\r\n|\r|\n/;

/** The JSON objects in the `data:` lines of server-sent events, without other events such as `[DONE]`. */
export function readEvents(body: string): Json[] {
  if (!body.split(LINE_END).every((line) => EVENT_LINE.test(line))) return [];
  return body.split(/(?:\r\n|\r|\n){2,}/).flatMap((event) => {
    const data = event.split(LINE_END).flatMap((line) => /^data: ?(.*)$/.exec(line)?.[1] ?? []);
    const whole = asObject(parseValue(data.join('\n')));
    // Some servers leave out the empty line between events.
    if (whole !== undefined) return [whole];
    return data.map((line) => asObject(parseValue(line))).filter((one) => one !== undefined);
  });
}
