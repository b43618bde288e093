import { z } from 'zod';
import { excerpt, typedExcerpt } from '../../core/text.ts';
import type { Mode } from './mode.ts';
import { described, object, text } from './parts.ts';

/** The parts of a profile that say where a request goes: paths below the base URL, and headers. */

/** A path below the base URL that URL parsing leaves as it is: no `..`, no second `//`, no query that hides a host. */
export const urlPath = text.refine(isUrlPath, {
  error: ({ input }) =>
    `${typedExcerpt(input)} is not a path below the base URL, such as /v1/video/generations`,
});
export const taskPath = urlPath.refine((value) => value.split('{id}').length === 2, {
  error: 'needs {id} once, where the task id goes',
});

function isUrlPath(value: string): boolean {
  if (!/^\/(?!\/)[\x21-\x7e]*$/.test(value) || value.includes('\\') || value.includes('#')) return false;
  const plain = value.replaceAll('{id}', 'id');
  const parsed = URL.parse(plain, 'http://same.invalid');
  return parsed?.host === 'same.invalid' && parsed.pathname + parsed.search === plain;
}

export const createPath = z.union(
  [
    urlPath.transform((one): Readonly<Record<Mode, string>> => ({
      text: one,
      image: one,
      'start-end': one,
      reference: one,
    })),
    object(
      { text: urlPath, image: urlPath, 'start-end': urlPath, reference: urlPath },
      'a path for each mode',
    ),
  ],
  {
    error: described(
      'a path such as /v1/video/generations, or one for each of text, image, start-end and reference',
    ),
  },
);

export const headerName = text.regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'is not the name of a header');
/** vidbatch sets these itself; a second one would be refused, or would change where the request goes. */
const OWN_HEADERS = [
  'host',
  'authorization',
  'content-length',
  'content-type',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'upgrade',
  'expect',
  'te',
  'trailer',
  'cookie',
  'proxy-authorization',
];

const isOwn = (name: string): boolean => OWN_HEADERS.includes(name.toLowerCase());

/** A header for the key or the idempotency key. */
export const freeHeader = (allowed?: string) =>
  headerName.refine((name) => !isOwn(name) || name.toLowerCase() === allowed, {
    error: ({ input }) => `cannot be ${excerpt(input)}: vidbatch sends it itself`,
  });

export const headers = z
  .record(headerName, text.regex(/^[\x20-\x7e]*$/, 'holds a character that cannot be sent'), {
    error: (issue) =>
      issue.code === 'invalid_key'
        ? 'is not the name of a header'
        : described('headers, such as X-Async: enable')(issue),
  })
  .superRefine((all, context) => {
    for (const name of Object.keys(all).filter(isOwn))
      context.addIssue({
        code: 'custom',
        path: [name],
        message: `cannot be set: vidbatch sends ${name} itself`,
      });
  });

export const auth = z
  .union(
    [
      z.enum(['bearer', 'none']),
      object(
        {
          header: freeHeader('authorization'),
          prefix: z
            .string()
            .max(40)
            .regex(/^[\x20-\x7e]*$/, 'holds a character that cannot be sent')
            .default(''),
        },
        'a header for the key',
      ),
    ],
    { error: described('bearer, none, or a header such as {header: x-api-key}') },
  )
  .transform((value) =>
    value === 'bearer'
      ? { header: 'authorization', prefix: 'Bearer ' }
      : value === 'none'
        ? undefined
        : value,
  );
