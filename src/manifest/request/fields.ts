import { z } from 'zod';
import { excerpt, typedExcerpt } from '../../core/text.ts';
import type { JsonValue } from '../../core/json.ts';
import { likely, nearest } from '../../core/suggestion.ts';
import type { ExtraType, Span } from '../../provider/profile/row-schema.ts';
import { flaw, textFlaw, type Flaw } from './text-flaws.ts';
import { urlFlaw } from './url-flaws.ts';

export type ExtraBody = { [key: string]: JsonValue };

/** The body of `POST /v1/video/generations`, exactly; its fields are in the order of the contract page. */
export interface GenerationRequest {
  model: string;
  prompt: string;
  image?: string;
  last_image?: string;
  reference_image_urls?: string[];
  aspect_ratio?: string;
  /** Seconds. */
  duration?: number;
  extra_body?: ExtraBody;
}

/** Takes a broken rule. The reader of the row adds the line, and applies `strict`. */
export type Report = (severity: 'error' | 'warning', column: string, flaw: Flaw) => void;

interface Issue {
  input?: unknown;
}

const text = z
  .string({ error: (issue: Issue) => `${typedExcerpt(issue.input)} is not text` })
  .superRefine((value, context) => addFlaw(context, textFlaw(value)));

const url = text.trim().superRefine((value, context) => {
  if (textFlaw(value) === undefined) addFlaw(context, urlFlaw(value));
});

const boolean = z.boolean({
  error: (issue: Issue) =>
    `${typedExcerpt(issue.input)} is not true or false (a CSV cell may also hold 1 or 0)`,
});

/** Seconds or numbers that are allowed: a range, or a list. */
export type Allowed = Span | readonly number[];

/** What the documents of the provider say about the fields of a request. */
export interface FieldLimits {
  /** Undefined: any text. */
  ratios: readonly string[] | undefined;
  duration: Allowed;
  /** Reference images; undefined: any number. */
  mostReferences: number | undefined;
}

const prompt = text.refine((value) => /[^\s\p{Cc}\p{Cf}]/u.test(value), {
  params: { rule: 'prompt-blank' },
  error: 'is blank; write what should be seen',
});

/**
 * The documented rules of single fields. A wrong type is the rule `<field>-type`; every other issue names its rule in
 * `params.rule`.
 */
export function fieldSchemas({ ratios, duration, mostReferences = Infinity }: FieldLimits) {
  return {
    model: text.trim(),
    prompt,
    image: url,
    last_image: url,
    reference_image_urls: z
      .array(url, { error: (issue: Issue) => `${typedExcerpt(issue.input)} is not a list of URLs` })
      .refine((list) => list.length <= mostReferences, {
        params: { rule: 'reference-count' },
        error: (issue) =>
          `${Array.isArray(issue.input) ? issue.input.length : 'too many'} URLs are more than ${mostReferences}`,
      }),
    aspect_ratio: text.trim().refine((value) => ratios?.includes(value) !== false, {
      params: { rule: 'aspect-ratio-unknown' },
      error: (issue) => ratioMessage(String(issue.input), ratios ?? []),
    }),
    // Text is accepted from JSON, too: the contract page itself calls the type "string" and shows a number.
    duration: z.preprocess(wholeNumber, whole('duration', duration)),
  };
}

/** A key of `extra_body`: the value of a cell, and the rule for it. */
export interface ExtraKey {
  decode: (cell: string) => unknown;
  schema: z.ZodType<JsonValue>;
}

export function extraKey(name: string, type: ExtraType): ExtraKey {
  const asText = (cell: string): unknown => cell;
  if (type === 'boolean') return { decode: decodeBoolean, schema: boolean };
  if (type === 'text') return { decode: asText, schema: text };
  if (!('from' in type)) return { decode: asText, schema: oneOf(name, type) };
  return { decode: wholeNumber, schema: whole(name, type) };
}

function decodeBoolean(cell: string): unknown {
  const word = cell.trim().toLowerCase();
  if (word === 'true' || word === '1') return true;
  return word === 'false' || word === '0' ? false : cell;
}

function oneOf(name: string, values: readonly string[]) {
  return text.trim().refine((value) => values.includes(value), {
    params: { rule: `${kebab(name)}-unknown` },
    error: (issue) => {
      const found = String(issue.input);
      const meant = likely(found.toLowerCase(), values);
      return `${excerpt(found)} is not one of ${values.join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`;
    },
  });
}

/** Checks a value by its schema, and reports every broken rule under `column`. Undefined if there is one. */
export function check<T>(
  schema: z.ZodType<T>,
  name: string,
  value: unknown,
  column: string,
  report: Report,
): T | undefined {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    const rule: unknown = issue.code === 'custom' ? issue.params?.['rule'] : undefined;
    const [index] = issue.path;
    const message = typeof index === 'number' ? `item ${index + 1}: ${issue.message}` : issue.message;
    report('error', column, flaw(typeof rule === 'string' ? rule : `${kebab(name)}-type`, message));
  }
  return undefined;
}

const kebab = (name: string): string => name.replaceAll('_', '-');

function addFlaw(context: z.RefinementCtx, found: Flaw | undefined): void {
  if (found === undefined) return;
  context.addIssue({ code: 'custom', params: { rule: found.rule }, message: found.message, continue: false });
}

/** `5`, ` 5 `, and `5.0` as in spreadsheets. A person should check `1e1`, `0x5`, `+5` and `５`. */
const WHOLE_TEXT = /^-?[0-9]+(\.0+)?$/;

/** A whole number in text as a number; other values unchanged. */
export function wholeNumber(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const number = value.trim();
  // Larger numbers stay text, so that a message shows all digits.
  return WHOLE_TEXT.test(number) && Number.isSafeInteger(Number(number)) ? Number(number) : value;
}

export function whole(name: string, allowed: Allowed) {
  const isAllowed = (value: number): boolean =>
    'from' in allowed ? value >= allowed.from && value <= allowed.to : allowed.includes(value);
  const which =
    'from' in allowed ? `between ${allowed.from} and ${allowed.to}` : `one of ${allowed.join(', ')}`;
  const kind = 'from' in allowed ? `a whole number ${which}` : which;
  const notWhole = (issue: Issue) =>
    `${typedExcerpt(issue.input)} is not ${kind}${wholeNumberHint(issue.input, isAllowed)}`;
  return z
    .number({ error: notWhole })
    .refine(Number.isInteger, { params: { rule: `${kebab(name)}-type` }, error: notWhole, abort: true })
    .refine(isAllowed, {
      params: { rule: `${kebab(name)}-range` },
      error: (issue) => `${excerpt(issue.input)} is not ${which}`,
    });
}

/** The advice for text that is nearly an allowed whole number. */
function wholeNumberHint(value: unknown, isAllowed: (value: number) => boolean): string {
  if (typeof value !== 'string') return '';
  const trimmed = value.trim();
  const ascii = trimmed.slice(0, 40).normalize('NFKC');
  if (/^[0-9.]+e\+?[0-9]+$/i.test(ascii))
    return '; a spreadsheet may have shortened it: format the column as text';
  if (ascii !== trimmed && WHOLE_TEXT.test(ascii) && isAllowed(Number(ascii)))
    return `; write ${ascii} in plain digits`;
  const [, number] = /^([0-9]+)\s*(\p{L}+\.?|")$/u.exec(ascii) ?? [];
  return number !== undefined && isAllowed(Number(number)) ? `; write ${number} alone` : '';
}

function ratioMessage(found: string, ratios: readonly string[]): string {
  const likely = likelyRatio(found, ratios);
  const hint = likely === undefined ? '' : `; did you mean ${likely}?`;
  const time = /^\d+:\d\d(:\d\d)?$/.test(found) && likely !== undefined;
  return `${excerpt(found)} is not one of ${ratios.join(', ')}${hint}${
    time ? ' A spreadsheet made it a time of day: format the column as text' : ''
  }`;
}

/** The ratio that `16x9`, `16：9` or `1920*1080` mean, or `16:09:00`, which spreadsheets make from 16:9. */
function likelyRatio(written: string, ratios: readonly string[]): string | undefined {
  const plain = written
    .slice(0, 40)
    .normalize('NFKC')
    .replaceAll(/[\s"']/g, '')
    .replaceAll(/[x×*/∶_\-比]/gi, ':');
  const [, width, height] = /^0*(\d{1,5}):0*(\d{1,5})(?::00)?$/.exec(plain) ?? [];
  if (width === undefined || height === undefined) return nearest(plain, ratios, 1);
  // Another well-formed ratio, such as 2:1, is meant as it is.
  return ratios.find((ratio) => {
    const [w = 0, h = 0] = ratio.split(':').map(Number);
    return Number(width) > 0 && Number(width) * h === Number(height) * w;
  });
}
