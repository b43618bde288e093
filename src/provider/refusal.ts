import { defined, isPlainObject, parseJson } from '../core/json.ts';
import { FORWARDED } from './table.ts';

/** The codes and the message in the body of an answer. */
export interface Refusal {
  /** Codes, the outermost wrapper first; in each layer the most specific code first. */
  layers: string[][];
  /** The innermost message. */
  message?: string;
  /** The body, and what a wrapper contains, are JSON objects. */
  readable: boolean;
}

type Json = Record<string, unknown>;

/** A JSON object, or undefined for everything else. A whole number that a double would change is a bigint. */
export function parseObject(text: string): Json | undefined {
  return asObject(parseJson(text, LONG_NUMBER.test(text) ? exact : undefined)?.value);
}

const LONG_NUMBER = /\d{16}/;

function exact(_key: string, value: unknown, { source = '' }: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return /^-?\d{16,512}$/.test(source) ? BigInt(source) : value;
}

export function asObject(value: unknown): Json | undefined {
  return isPlainObject(value) ? value : undefined;
}

/** Gateways may wrap gateways; four layers have not been seen. */
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
    if (!codes.includes(FORWARDED)) return defined({ layers, message, readable: true });
    const wrapped = object['message'] ?? asObject(object['error'])?.['message'];
    text = typeof wrapped === 'string' ? wrapped : '';
    object = asObject(wrapped) ?? parseEmbedded(text);
  }
  return defined({ layers, message: message ?? plainMessage(text), readable: false });
}

/** Codes that mean success. */
const WELL = /^(|0+|2\d\d|ok|success|succeeded|successful|created|accepted|none|null|false)$/i;

/** Whether an answer reports an error, or a code that does not mean success. */
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
  const parsed = parseJson(text);
  if (parsed === undefined) return parseObject(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1));
  return typeof parsed.value === 'string' ? parseObject(parsed.value) : asObject(parsed.value);
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
