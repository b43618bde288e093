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

const TYPES: Readonly<Record<string, string>> = {
  array: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'fields and their values',
  record: 'fields and their values',
};

/** The message for an issue whose field has none of its own. */
export function clearMessage(issue: z.core.$ZodRawIssue): string {
  const { code, input } = issue;
  if (input === undefined) return 'is missing';
  const found = typedExcerpt(input);
  if (code === 'invalid_type') return described(TYPES[issue.expected] ?? issue.expected)(issue);
  if (code === 'invalid_value') return described(`one of ${issue.values.map(String).join(', ')}`)(issue);
  if (code === 'too_small')
    return `${found} is ${issue.inclusive === false ? 'not more' : 'less'} than ${issue.minimum}`;
  if (code === 'too_big') return `${found} is more than ${issue.maximum}`;
  return `${found} is not allowed here`;
}
