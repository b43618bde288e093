import { z } from 'zod';
import { price } from '../../core/money/prices.ts';
import { excerpt } from '../../core/text.ts';
import { expandBraces } from './brace.ts';
import { described, flag, object, text, texts } from './parts.ts';

/** The part of a profile that says which rows are right: fields, models and rules. */

export interface Span {
  from: number;
  to: number;
}

/** `5`, `1..16`; undefined for other texts. */
export function parseSpan(written: unknown): Span | undefined {
  const [, from, to = from] = /^(\d{1,15})(?:\.\.(\d{1,15}))?$/.exec(String(written)) ?? [];
  return from !== undefined && Number(from) <= Number(to)
    ? { from: Number(from), to: Number(to) }
    : undefined;
}

const span = (what: string) =>
  z.union([z.string(), z.number()], { error: described(what) }).transform((value, context): Span => {
    const read = parseSpan(value);
    if (read !== undefined) return read;
    context.addIssue({ code: 'custom', message: `${excerpt(value)} is not ${what}` });
    return z.NEVER;
  });

const count = z
  .number({ error: described('a whole number from 1') })
  .int('is not a whole number')
  .positive('is not a whole number from 1');

/** A range, or the only numbers that are allowed. */
const SECONDS = 'seconds such as 1..16 or [4, 8, 12]';
const seconds = z.union([z.array(count).min(1), span(SECONDS)], { error: described(SECONDS) });

const pattern = text.refine((value) => expandBraces(value) !== undefined, {
  error: 'has braces that do not match, or stands for more than a thousand names',
});

const ratios = z.array(text, { error: described('a list such as ["16:9", "9:16"]') }).min(1, 'is empty');

export const model = object(
  {
    /** Names with `{a,b}` are known names. `*` stands for any text. */
    match: texts.pipe(z.array(pattern).min(1, 'is empty')),
    /** It names no model: what it says is a warning for a model that the configuration adds. */
    hint: flag.default(false),
    duration: seconds.optional(),
    aspect_ratio: ratios.optional(),
    references: span('a number of reference images such as 0 or 1..7').optional(),
    price: price.optional(),
  },
  'a model such as {match: q3-*}',
).superRefine(({ match, hint, duration, aspect_ratio, price: cost }, context) => {
  const names = match.every((one) => !one.includes('*'));
  const issue = (field: string, message: string): void =>
    context.addIssue({ code: 'custom', path: [field], message });
  if (cost !== undefined && !names) issue('price', 'needs whole names in match: * stands for any model');
  if (hint && (duration ?? aspect_ratio ?? cost) !== undefined)
    issue('hint', 'is for references alone: duration, aspect_ratio and price need an entry of their own');
});

const FIELD =
  /^(model|prompt|image|last_image|reference_image_urls|aspect_ratio|duration|extra_body\.[\w-]{1,64})$/;
const NOT_A_FIELD =
  'is not a field of a request: model, prompt, image, last_image, reference_image_urls, aspect_ratio, duration or extra_body.KEY';

const value = z.union([z.boolean(), z.number(), text], {
  error: described('given, absent, or a value such as true, 5, 9..16 or q3-*'),
});

/** Why a row is wrong or doubtful: all its conditions hold. */
export const rule = object(
  {
    name: text.regex(/^[a-z0-9-]{1,64}$/, 'is not a name such as offpeak-audio'),
    column: text.regex(FIELD, NOT_A_FIELD),
    severity: z.enum(['error', 'warning', 'documented'], {
      error: described('error, warning or documented'),
    }),
    when: z
      .record(
        z.string(),
        z.union([value, z.array(value)], {
          error: described('given, absent, a value, or a list of values'),
        }),
        { error: described('conditions, such as {image: given}') },
      )
      .superRefine((conditions, context) => {
        for (const name of Object.keys(conditions).filter((one) => !FIELD.test(one)))
          context.addIssue({ code: 'custom', path: [name], message: NOT_A_FIELD });
        for (const [name, one] of Object.entries(conditions)) {
          if ([one].flat().some((each) => typeof each === 'string' && expandBraces(each) === undefined))
            context.addIssue({ code: 'custom', path: [name], message: 'has braces that do not match' });
        }
        if (Object.keys(conditions).length === 0)
          context.addIssue({ code: 'custom', message: 'is empty: the rule would hold for every row' });
      }),
    message: text,
  },
  'a rule such as {name, column, severity, when, message}',
);

/** The type of a key of `extra_body`. */
const EXTRA_TYPE = 'boolean, text, numbers such as 0..100, or a list of texts';
const extraType = z.union([z.literal('boolean'), z.literal('text'), z.array(text).min(1), span(EXTRA_TYPE)], {
  error: described(EXTRA_TYPE),
});

/** Seconds that a video of an unknown provider may have. */
const ANY_DURATION: Span = { from: 1, to: 3600 };

export const fields = object(
  {
    prompt: object({ longest: count }, 'the limits of a prompt, such as {longest: 5000}').optional(),
    /** Absent: any text. */
    aspect_ratio: ratios.optional(),
    duration: seconds.default(ANY_DURATION),
    /** What the provider makes of a row that names none. */
    defaultDuration: count.default(5),
    reference_image_urls: object(
      { most: count.optional(), doubtfulAbove: count.optional() },
      'the number of references, such as {most: 7}',
    ).default({}),
    extra_body: z
      .record(z.string().regex(/^[\w-]{1,64}$/, 'is not a key such as seed'), extraType, {
        error: (issue) =>
          issue.code === 'invalid_key'
            ? 'is not a key such as seed'
            : described('keys and their types, such as {audio: boolean, seed: 0..2147483647}')(issue),
      })
      .default({}),
  },
  'the fields of a request',
).prefault({});

export type ModelEntry = z.output<typeof model>;
export type RowRule = z.output<typeof rule>;
export type ExtraType = z.output<typeof extraType>;
