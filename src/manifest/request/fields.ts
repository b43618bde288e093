import { z } from 'zod';
import { excerpt, typedExcerpt } from '../../core/excerpt.ts';
import { aspectRatios, likelyRatio } from './ratio.ts';
import { textFlaw } from './text.ts';
import { urlFlaw } from './url.ts';
import { wholeNumber, wholeNumberHint } from './whole-number.ts';

/**
 * The documented rules of single fields (api.md, "The request"). An issue of a wrong type becomes the rule
 * `<field>-type`; every other issue names its rule in `params.rule`.
 */

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
  aspect_ratio: text.trim().refine((value) => aspectRatios.includes(value), {
    params: { rule: 'aspect-ratio-unknown' },
    error: (issue) => ratioMessage(String(issue.input)),
  }),
  // Text is accepted from JSON, too: the contract page itself calls the type "string" and shows a number.
  duration: z.preprocess(wholeNumber, whole('duration', 1, 16)),
};

export const extraBodySchemas = {
  audio: boolean,
  bgm: boolean,
  seed: whole('seed', 0, 2_147_483_647),
};

export const priority = z.preprocess(wholeNumber, whole('priority', -100, 100));

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

function ratioMessage(found: string): string {
  const likely = likelyRatio(found);
  const hint = likely === undefined ? '' : `; did you mean ${likely}?`;
  const time = /^\d+:\d\d(:\d\d)?$/.test(found) && likely !== undefined;
  return `${excerpt(found)} is not one of ${aspectRatios.join(', ')}${hint}${
    time ? ' A spreadsheet made it a time of day: format the column as text' : ''
  }`;
}

function addFlaw(context: z.RefinementCtx, flaw: { rule: string; message: string } | undefined): void {
  if (flaw === undefined) return;
  context.addIssue({ code: 'custom', params: { rule: flaw.rule }, message: flaw.message, continue: false });
}
