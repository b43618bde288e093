import { z } from 'zod';
import { excerpt, typedExcerpt } from '../../core/text.ts';
import { parsePath, type Path } from './path.ts';

/** The parts of the format of a profile that its fields share: each says what is allowed where a value is wrong. */

interface Issue {
  input?: unknown;
}

export const described =
  (what: string) =>
  ({ input }: Issue): string =>
    input === undefined ? `is missing: ${what}` : `${typedExcerpt(input)} is not ${what}`;

export const object = <T extends z.ZodRawShape>(shape: T, what: string) =>
  z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `unknown ${issue.keys.map(excerpt).join(', ')}: allowed are ${Object.keys(shape).join(', ')}`
        : described(what)(issue),
  });

const LONGEST_TEXT = 1000;
export const text = z
  .string({ error: described('text') })
  .min(1, 'is empty')
  .max(LONGEST_TEXT, `is longer than ${LONGEST_TEXT} characters`);
export const flag = z.boolean({ error: described('true or false') });

/** One or a list → a list. */
export const listOf = <T extends z.ZodType>(one: T) =>
  z.preprocess(
    (value) => (value === undefined || Array.isArray(value) ? value : [value]),
    z.array(one, { error: described('a value or a list of values') }),
  );
export const texts = listOf(text);

export const path = text.transform((written, context): Path => {
  const read = parsePath(written);
  if (read !== undefined) return read;
  context.addIssue({
    code: 'custom',
    message: `${excerpt(written)} is not a place in an answer, such as task_id, data.task_id or videos[].url`,
  });
  return z.NEVER;
});
export const paths = listOf(path);
