import { z } from 'zod';
import { excerpt, typedExcerpt } from '../../core/excerpt.ts';
import type { JsonValue } from '../../core/json.ts';
import { nearest } from '../../core/suggestion.ts';
import { type Flaw, flaw, textFlaw } from './text.ts';
import { urlFlaw } from './url.ts';

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

/** Takes what the rules find in a row. The reader of the row adds the line, and applies `strict`. */
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

export const prioritySchema = z.preprocess(wholeNumber, whole('priority', -100, 100));

/** Checks one value by its schema and reports every broken rule under `column`; undefined when there was one. */
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

/** `5`, ` 5 `, and `5.0` as spreadsheets write it; not `1e1`, `0x5`, `+5` or `５`, which a person should check. */
const WHOLE_TEXT = /^-?[0-9]+(\.0+)?$/;

/** Text as a number when it is written as a whole one; anything else as it came. */
export function wholeNumber(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const number = value.trim();
  // More digits than a number holds stay text: a message must show them.
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

/** The end of a message: what to do about text that is nearly an allowed whole number. */
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

/** The ratio that `16x9`, `16：9` or `1920*1080` mean, or `16:09:00`, which spreadsheets make of 16:9. */
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
