import { z } from 'zod';
import { excerpt } from '../../core/text.ts';
import { described, flag, listOf, object, text, texts } from './parts.ts';
import type { Span } from './row-schema.ts';

/** The outcome table of a profile. It cannot make a status that a proxy may send mean "not accepted". */

/** The outcomes of a refusal: `accepted` needs a task id, and `invalid` is not sent. */
const outcome = z.enum(['rejected', 'throttled', 'not-sent', 'halted', 'uncertain'], {
  error: described('one of rejected, throttled, not-sent, halted, uncertain'),
});

export type RefusalKind = z.output<typeof outcome>;

/** `400`, `4xx`, `400-413`, or a list of these. */
const statuses = listOf(
  z.union([z.number(), z.string()]).transform((value, context): Span => {
    const written = String(value);
    const span = /^[1-5]xx$/.test(written)
      ? { from: Number(written[0]) * 100, to: Number(written[0]) * 100 + 99 }
      : { from: Number(written.split('-')[0]), to: Number(written.split('-').at(-1)) };
    if (/^([1-5]xx|[1-5]\d\d(-[1-5]\d\d)?)$/.test(written) && span.from <= span.to) return span;
    context.addIssue({
      code: 'custom',
      message: `${excerpt(value)} is not an HTTP status such as 429, 4xx or 400-413`,
    });
    return z.NEVER;
  }),
);

/** What a status alone cannot prove: proxies answer with these after they have passed the request on. */
const PASSED_ON: readonly Span[] = [
  { from: 100, to: 300 },
  { from: 303, to: 306 },
  { from: 309, to: 399 },
  { from: 408, to: 409 },
  { from: 425, to: 425 },
  { from: 500, to: 599 },
];

const statusRule = object({ status: statuses, outcome }, 'a rule such as {status: 429, outcome: throttled}');

const statusRules = z.array(statusRule).superRefine((rules, context) => {
  for (const { from, to } of PASSED_ON) {
    for (let status = from; status <= to; status += 1) {
      const at = rules.findIndex((rule) => rule.status.some((one) => one.from <= status && status <= one.to));
      const kind = rules[at]?.outcome ?? 'uncertain';
      if (kind === 'uncertain') continue;
      context.addIssue({
        code: 'custom',
        path: [at, 'outcome'],
        message: `cannot be ${kind} for ${status} alone: a proxy may answer so after it passed the request on. Name a code or a text of the body, or begin with a rule that makes ${status} uncertain`,
      });
      return;
    }
  }
});

const codeRule = object(
  {
    code: listOf(z.union([text, z.number().transform(String)])),
    /** Only inside the wrapper; then at any status. */
    wrapped: flag.default(false),
    status: statuses.optional(),
    outcome,
  },
  'a rule such as {code: insufficient_quota, outcome: halted}',
).superRefine(({ code, outcome: kind }, context) => {
  const copied = code.find((one) =>
    PASSED_ON.some(({ from, to }) => Number(one) >= from && Number(one) <= to),
  );
  if (copied === undefined || kind === 'uncertain') return;
  context.addIssue({
    code: 'custom',
    path: ['outcome'],
    message: `cannot be ${kind} for the code ${copied}: it repeats an HTTP status that a proxy may send after it passed the request on`,
  });
});

const textRule = object(
  { text: texts, status: statuses, outcome },
  'a rule such as {text: no balance, status: 4xx, outcome: halted}',
);

/** What an answer means that names no task. */
export const outcomes = object(
  {
    codes: z.array(codeRule).default([]),
    texts: z.array(textRule).default([]),
    statuses: statusRules,
  },
  'the outcome table',
);
