import { z } from 'zod';
import { excerpt, typedExcerpt } from '../../core/text.ts';
import { defined, type JsonValue } from '../../core/json.ts';
import { nearest } from '../../core/suggestion.ts';
import { flaw, textFlaw, mangledId, type Flaw } from './text-flaws.ts';
import { urlFlaw } from './url-flaws.ts';
import type { Field, OwnColumn } from './field-names.ts';

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

const ASPECT_RATIOS: readonly string[] = ['16:9', '9:16', '1:1', '4:3', '3:4'];

/**
 * The documented rules of single fields (api.md, "The request"). A wrong type is the rule `<field>-type`; every other
 * issue names its rule in `params.rule`.
 */
export const schemas = {
  model: text.trim(),
  prompt: text.refine((value) => /[^\s\p{Cc}\p{Cf}]/u.test(value), {
    params: { rule: 'prompt-blank' },
    error: 'is blank; write what should be seen',
  }),
  image: url,
  last_image: url,
  reference_image_urls: z
    .array(url, { error: (issue: Issue) => `${typedExcerpt(issue.input)} is not a list of URLs` })
    .refine((list) => list.length <= 7, {
      params: { rule: 'reference-count' },
      error: (issue) =>
        `${Array.isArray(issue.input) ? issue.input.length : 'too many'} URLs are more than 7`,
    }),
  aspect_ratio: text.trim().refine((value) => ASPECT_RATIOS.includes(value), {
    params: { rule: 'aspect-ratio-unknown' },
    error: (issue) => ratioMessage(String(issue.input)),
  }),
  // Text is accepted from JSON, too: the contract page itself calls the type "string" and shows a number.
  duration: z.preprocess(wholeNumber, whole('duration', 1, 16)),
};

export const extraBodySchemas = { audio: boolean, bgm: boolean, seed: whole('seed', 0, 2_147_483_647) };

const prioritySchema = z.preprocess(wholeNumber, whole('priority', -100, 100));

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

function whole(name: string, from: number, to: number) {
  const notWhole = (issue: Issue) =>
    `${typedExcerpt(issue.input)} is not a whole number between ${from} and ${to}${wholeNumberHint(issue.input, from, to)}`;
  return z
    .number({ error: notWhole })
    .refine(Number.isInteger, { params: { rule: `${name}-type` }, error: notWhole, abort: true })
    .refine((value) => value >= from && value <= to, {
      params: { rule: `${name}-range` },
      error: (issue) => `${excerpt(issue.input)} is not between ${from} and ${to}`,
    });
}

/** The advice for text that is nearly an allowed whole number. */
function wholeNumberHint(value: unknown, from: number, to: number): string {
  if (typeof value !== 'string') return '';
  const trimmed = value.trim();
  const ascii = trimmed.slice(0, 40).normalize('NFKC');
  if (/^[0-9.]+e\+?[0-9]+$/i.test(ascii))
    return '; a spreadsheet may have shortened it: format the column as text';
  const fits = (number: string): boolean => Number(number) >= from && Number(number) <= to;
  if (ascii !== trimmed && WHOLE_TEXT.test(ascii) && fits(ascii)) return `; write ${ascii} in plain digits`;
  const [, number] = /^([0-9]+)\s*(\p{L}+\.?|")$/u.exec(ascii) ?? [];
  return number !== undefined && fits(number) ? `; write ${number} alone` : '';
}

function ratioMessage(found: string): string {
  const likely = likelyRatio(found);
  const hint = likely === undefined ? '' : `; did you mean ${likely}?`;
  const time = /^\d+:\d\d(:\d\d)?$/.test(found) && likely !== undefined;
  return `${excerpt(found)} is not one of ${ASPECT_RATIOS.join(', ')}${hint}${
    time ? ' A spreadsheet made it a time of day: format the column as text' : ''
  }`;
}

/** The ratio that `16x9`, `16：9` or `1920*1080` mean, or `16:09:00`, which spreadsheets make from 16:9. */
function likelyRatio(written: string): string | undefined {
  const plain = written
    .slice(0, 40)
    .normalize('NFKC')
    .replaceAll(/[\s"']/g, '')
    .replaceAll(/[x×*/∶_\-比]/gi, ':');
  const [, width, height] = /^0*(\d{1,5}):0*(\d{1,5})(?::00)?$/.exec(plain) ?? [];
  if (width === undefined || height === undefined) return nearest(plain, ASPECT_RATIOS, 1);
  // Another well-formed ratio, such as 2:1, is meant as it is.
  return ASPECT_RATIOS.find((ratio) => {
    const [w = 0, h = 0] = ratio.split(':').map(Number);
    return Number(width) > 0 && Number(width) * h === Number(height) * w;
  });
}

const LONGEST_ID = 200;

interface OwnColumns {
  id?: string;
  notBefore?: string;
  priority?: number;
}

/** Checks the columns for vidbatch itself. */
export function readOwnColumns(values: ReadonlyMap<Field | OwnColumn, unknown>, report: Report): OwnColumns {
  const priority = readPriority(values.get('priority'), report);
  const id = readId(values.get('id'), report);
  return defined({ id, notBefore: readNotBefore(values.get('not_before'), report), priority });
}

/** A whole number from -100 to 100; higher is sent first. */
function readPriority(value: unknown, report: Report): number | undefined {
  if (value === undefined) return undefined;
  return check(prioritySchema, 'priority', value, 'priority', (severity, column, { message }) =>
    report(severity, column, flaw('priority-integer', message)),
  );
}

/** The row's key, trimmed. A whole number, which JSON manifests often use, is its digits. */
function readId(value: unknown, report: Report): string | undefined {
  const refuse = (rule: string, message: string): undefined => {
    report('error', 'id', flaw(rule, message));
    return undefined;
  };
  const text = Number.isSafeInteger(value) ? String(value) : value;
  if (text === undefined) return undefined;
  if (typeof text !== 'string')
    return refuse('id-type', `${typedExcerpt(value)} is not text or a whole number`);
  const id = text.trim();
  if (id === '') return undefined;
  if (/\p{Cc}/u.test(id) || !id.isWellFormed()) {
    const what = 'a control character, or half a character (a lone surrogate)';
    return refuse('id-characters', `${excerpt(id)} contains ${what}`);
  }
  // With twice as many UTF-16 units the characters need not be counted.
  const length = id.length > 2 * LONGEST_ID ? id.length : Array.from(id).length;
  if (length > LONGEST_ID) {
    return refuse('id-length', `${excerpt(id)} has ${length} characters, more than ${LONGEST_ID}`);
  }
  const mangled = mangledId(id);
  if (mangled !== undefined) report('warning', 'id', mangled);
  return id;
}

/** RFC 3339 in the limits of Postgres: no year 0, offsets under 16 hours, at most nanoseconds. zod checks the calendar. */
const rfc3339 = /^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-](0\d|1[0-5]):\d\d)$/;
const dateTime = z.iso.datetime({ offset: true }).regex(rfc3339);

/** The text in capitals: RFC 3339 allows `t` and `z`, but some readers do not. */
function readNotBefore(value: unknown, report: Report): string | undefined {
  if (value === undefined) return undefined;
  const parsed = dateTime.safeParse(typeof value === 'string' ? value.trim().toUpperCase() : value);
  if (parsed.success) return parsed.data;
  const message = `${excerpt(value)} is not a date and time with a zone, such as 2026-08-20T02:00:00+08:00`;
  report('error', 'not_before', flaw('not-before-format', message));
  return undefined;
}
