import { z } from 'zod';
import { excerpt } from '../../core/text.ts';
import { described, flag, listOf, object, path, paths, text, texts } from './parts.ts';
import { outcomes } from './outcome-schema.ts';
import { auth, createPath, freeHeader, headerName, headers, taskPath, urlPath } from './request-schema.ts';
import { fields, model, rule } from './row-schema.ts';
import { placeholdersOf, type Template } from './template.ts';

/**
 * The format of a profile: what one kind of provider looks like, as data. docs/profiles.md explains each field.
 *
 * A profile cannot run code or read files: places are paths (`path.ts`), bodies are templates (`template.ts`), texts are
 * compared as they are, and addresses are paths below the base URL, so the key goes to no other host.
 */

const duration = text.transform((written, context): number => {
  const [, number, unit = ''] = /^(\d{1,6})(s|m|h|d)$/.exec(written) ?? [];
  const ms = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit];
  if (number !== undefined && ms !== undefined) return Number(number) * ms;
  context.addIssue({
    code: 'custom',
    message: `${excerpt(written)} is not a duration such as 30s, 10m, 24h or 7d`,
  });
  return z.NEVER;
});

/** A wait that an answer tells. The first that can be read counts. */
const wait = z.union(
  [
    object(
      {
        header: headerName,
        /** retry-after: seconds or a date · reset: seconds, a duration, a time · ratelimit: `"default";r=0;t=30` */
        as: z.enum(['ms', 'retry-after', 'reset', 'ratelimit']),
        /** Counts only if this header is 0 or absent. */
        whenZero: headerName.optional(),
      },
      'a header',
    ),
    object({ at: path, as: z.enum(['ms', 'retry-after']) }, 'a place in the body'),
    object(
      { text: text.refine((value) => value.split('{}').length === 2, 'needs {} where the seconds stand') },
      'a text',
    ),
  ],
  { error: described('a wait: {header, as}, {at, as} or {text: "resets in ~{}s"}') },
);

const idempotency = z
  .union(
    [
      z.literal('none'),
      object(
        {
          header: freeHeader(),
          /** It is documented that a repeated key is answered with the first task. */
          honoured: flag,
          longest: z.number().int().min(16).max(1024).default(255),
          /** How long the provider remembers a key. Later, a repeated key is a new order. */
          lifetime: duration.optional(),
          /** A header of an answer that repeats the first one. */
          replayed: headerName.optional(),
        },
        'a header',
      ),
    ],
    { error: described('none, or {header: Idempotency-Key, honoured: true, lifetime: 24h}') },
  )
  .transform((value) => (value === 'none' ? undefined : value))
  .superRefine((value, context) => {
    if (value?.honoured !== true || value.lifetime !== undefined) return;
    context.addIssue({
      code: 'custom',
      path: ['lifetime'],
      message: 'is missing: how long a key is remembered, such as 24h',
    });
  });

const create = object(
  {
    path: createPath,
    headers: headers.default({}),
    /** Absent: the request as it is. */
    body: z
      .record(z.string(), z.json(), { error: described('an object: the body, with ${field} for each field') })
      .superRefine((template, context) => {
        for (const name of placeholdersOf(template).filter((one) => !PLACEHOLDERS.test(one)))
          context.addIssue({ code: 'custom', message: `\${${name}} is not a field of a request` });
      })
      .transform((template): Template => template as Template)
      .optional(),
    /** Keys that only a task has. */
    taskId: paths,
    /** A plain id: of the task, unless the answer reports an error. */
    id: paths.default([]),
    /** An id that begins so is a task's. */
    idPrefix: texts.default([]),
    /** Where only an id that begins so counts. */
    prefixedId: paths.default([]),
    /** A URL that asks for the task; it counts on the provider's own host only. */
    queryUrl: paths.default([]),
    /** Where the first status of the task stands. */
    status: paths.default([]),
  },
  'how a task is created',
).superRefine(({ taskId, id, prefixedId }, context) => {
  if (taskId.length + id.length + prefixedId.length > 0) return;
  context.addIssue({
    code: 'custom',
    path: ['taskId'],
    message: 'is empty, and so is id: no row could ever be accepted',
  });
});

/** `extra_body.x` is a member of it. */
const PLACEHOLDERS =
  /^(model|prompt|image|last_image|reference_image_urls(\[\])?|aspect_ratio|duration|extra_body(\.[\w-]{1,64})?)(:text)?$/;

/** How an answer that is not a task tells its codes and reasons. */
const answers = object(
  {
    /** The most specific first. Texts and numbers count. */
    code: paths,
    message: paths,
    /** Any value here but a word of `well` reports an error, also under 2xx. */
    error: paths,
    /** `false` here reports an error. */
    success: paths.default([]),
    /** Values that report no error, in lower case. */
    well: z.array(z.string()),
    /** A gateway that puts its vendor's JSON into a text: under this code, at these places. */
    wrapper: object({ code: text, at: paths }, 'a wrapper').optional(),
    requestId: z.array(headerName).default([]),
    waits: z.array(wait).default([]),
  },
  'how answers tell what happened',
);

const words = z.array(
  z
    .union([text, z.number(), z.boolean()], { error: described('a word') })
    .transform((word) => String(word).trim().toLowerCase()),
);

const sign = z.union(
  [
    path.transform((at) => ({ at, is: undefined })),
    object({ at: path, is: z.union([z.boolean(), z.number(), text]) }, 'a place and its value'),
  ],
  { error: described('a place such as error, or {at: success, is: false}') },
);

const task = object(
  {
    path: taskPath,
    /** The objects that may be the task, in this order; one that has an id comes first. */
    in: paths.default([[]]),
    id: paths,
    status: paths.refine((places) => places.length > 0, { error: 'is empty: no task would ever end' }),
    words: object(
      { queued: words, in_progress: words, completed: words, failed: words },
      'the words of each status',
    ),
    /** Words that also mean a failed request: they count only if the answer names a task. */
    doubtful: words.default([]),
    /** Codes that say that there is no such task. */
    missing: texts.default([]),
    progress: paths.default([]),
    /** Places of the video's URL. */
    result: paths,
    /** Places that may hold a URL deeper inside, in a list or an object. */
    resultIn: paths.default([]),
    /** The video itself, for providers that tell no URL. */
    content: taskPath.optional(),
    expires: paths.default([]),
    /** How long a URL lives if nothing else tells. */
    urlLife: duration.optional(),
    /** A finished task without a video has failed if one of these holds an error, or the value that is named. */
    failedWhen: listOf(sign).default([]),
    reason: paths,
    cost: object(
      { at: paths, unit: text.max(20) },
      'a cost such as {at: usage.total_tokens, unit: token}',
    ).optional(),
  },
  'how a task is asked for',
);

const limits = object(
  {
    rate: text
      .regex(/^\d+(\.\d+)?(\/[smh])?$/, 'is not a rate such as 5/s, 600/m or 100/h')
      .refine((rate) => Number.parseFloat(rate) > 0, 'is not more than 0')
      .optional(),
    maxInFlight: z.number().int().positive().optional(),
  },
  'limits such as {rate: 5/s, maxInFlight: 5}',
);

export const profileSchema = object(
  {
    profile: z.literal(1, { error: described('1, the version of this format') }),
    name: text.regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'is not a name such as my-gateway'),
    /** A built-in profile: what is not written here is taken from it. */
    extends: text.optional(),
    about: text.optional(),
    documents: z.array(text).default([]),
    /** What the documents do not say. */
    unverified: z.array(text).default([]),
    auth: auth.prefault('bearer'),
    create,
    idempotency,
    answers,
    outcomes,
    task,
    /** A list of models that the key may use: where it is asked for, and where the names stand. */
    modelList: object({ path: urlPath, names: paths }, 'a list of models').optional(),
    limits: limits.default({}),
    fields,
    models: listOf(model).default([]),
    /** What a model is that no entry of `models` matches. Default: an error, if there are entries. */
    unknownModel: z
      .enum(['error', 'warning', 'allowed'], { error: described('error, warning or allowed') })
      .optional(),
    rules: listOf(rule).default([]),
  },
  'a profile',
);

export type Profile = z.output<typeof profileSchema>;
