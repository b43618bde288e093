import { FORWARDED } from './table.ts';

/** What an answer's body says, layer by layer. */
export interface Refusal {
  /**
   * Codes, outermost layer first, in each layer the most telling first. Every layer but the last is the gateway's
   * wrapper around the next.
   */
  layers: string[][];
  /** The innermost message. */
  message?: string;
  /** The body, and under a wrapper also what it wraps, is a JSON object. */
  readable: boolean;
}

type Json = Record<string, unknown>;

/** A JSON object, or undefined for everything else. A whole number that a double would change is a bigint. */
export function parseObject(text: string): Json | undefined {
  try {
    return asObject(JSON.parse(text, LONG_NUMBER.test(text) ? exact : undefined));
  } catch {
    return undefined;
  }
}

const LONG_NUMBER = /\d{16}/;

function exact(this: unknown, _key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? '';
  return /^-?\d{16,512}$/.test(source) ? BigInt(source) : value;
}

export function asObject(value: unknown): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

/** Gateways stand behind gateways; four layers have not been seen. */
const DEEPEST = 4;

/** Reads every body shape: `{code,message}`, `{error:{message,type,code}}`, wrapped JSON, HTML, text, nothing. */
export function readRefusal(body: string): Refusal {
  const layers: string[][] = [];
  let message: string | undefined;
  let text = body;
  let object = parseObject(body);
  while (object !== undefined && layers.length < DEEPEST) {
    const codes = codesOf(object);
    layers.push(codes);
    message = messageOf(object) ?? message;
    if (!codes.includes(FORWARDED)) return refusal(layers, message, true);
    const wrapped = object['message'] ?? asObject(object['error'])?.['message'];
    text = typeof wrapped === 'string' ? wrapped : '';
    object = asObject(wrapped) ?? parseEmbedded(text);
  }
  return refusal(layers, message ?? plainMessage(text), false);
}

function refusal(layers: string[][], message: string | undefined, readable: boolean): Refusal {
  return { layers, ...(message === undefined ? {} : { message }), readable };
}

/** Words and numbers in the place of a code that say that all is well. */
const WELL = /^(|0+|2\d\d|ok|success|succeeded|successful|created|accepted|none|null|false)$/i;

/** Whether an answer says that something went wrong: an error, or a code that does not stand for success. */
export function carriesError(object: Json): boolean {
  const { error } = object;
  if (isError(error) || object['success'] === false) return true;
  return ['code', 'error_code', 'err_code'].some((key) => isError(object[key]));
}

function isError(value: unknown): boolean {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint')
    return !WELL.test(String(value).trim());
  if (typeof value !== 'object' || value === null) return value === true;
  return Object.values(value).some((part) => (typeof part === 'object' ? part !== null : isError(part)));
}

/** `status_code: 400, body: {…}`: some gateways put words around the vendor's JSON, or encode it twice. */
function parseEmbedded(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? parseObject(value) : asObject(value);
  } catch {
    return parseObject(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1));
  }
}

const CODE_KEYS = ['reason', 'err_code', 'error_code', 'code', 'type'];

function codesOf(object: Json): string[] {
  const error = asObject(object['error']);
  const values = [error, object].flatMap((part) => CODE_KEYS.map((key) => part?.[key]));
  values.push(object['error']);
  const words = values.filter((value) => typeof value === 'string' && /^[\w.:-]{1,128}$/.test(value));
  const numbers = values
    .filter((value) => typeof value === 'number' || typeof value === 'bigint')
    .map(String);
  return [...new Set([...(words as string[]), ...numbers])];
}

function messageOf(object: Json): string | undefined {
  const error = asObject(object['error']);
  const candidates = [
    object['message'],
    error?.['message'],
    object['msg'],
    object['error_description'],
    object['detail'],
    object['error'],
  ];
  return candidates.find((value): value is string => typeof value === 'string' && value.trim() !== '');
}

/** The title of a page, or plain words. */
function plainMessage(text: string): string | undefined {
  const trimmed = text.slice(0, 65_536).trim();
  if (!trimmed.startsWith('<')) return trimmed === '' ? undefined : trimmed;
  return /<title[^>]*>([^<]+)/i.exec(trimmed)?.[1] ?? 'a page instead of JSON';
}
