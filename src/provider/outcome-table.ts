import { usageError } from '../core/errors.ts';
import type { OutcomeKind } from '../core/outcome.ts';

/** The outcomes of a refusal: `accepted` needs a task id, and `invalid` is not sent. */
export type RefusalKind = Exclude<OutcomeKind, 'accepted' | 'invalid'>;

/** Codes whose meaning the configuration changes: a code, or `fail_to_fetch_task/<inner code>`. */
export type CodeOverrides = Readonly<Record<string, RefusalKind>>;

interface Statuses {
  from: number;
  to: number;
}

const any4xx: Statuses = { from: 400, to: 499 };

/** HTTP status → kind; the first match counts. A 2xx is judged by its task id. Other statuses are uncertain. */
export const STATUSES: readonly (Statuses & { kind: RefusalKind })[] = [
  // A redirect is never followed: the POST would be sent twice, or become a GET. These four only name another address; the
  // others, such as 303, may follow a request that was done.
  { from: 301, to: 302, kind: 'halted' },
  { from: 307, to: 308, kind: 'halted' },
  { from: 300, to: 399, kind: 'uncertain' },
  { from: 401, to: 405, kind: 'halted' },
  // Proxies use these for their own waits, conflicts and replays: the request may have been passed on.
  { from: 408, to: 409, kind: 'uncertain' },
  { from: 425, to: 425, kind: 'uncertain' },
  { from: 429, to: 429, kind: 'throttled' },
  { ...any4xx, kind: 'rejected' },
  // Proxies answer 502, 503 and 504 after forwarding, and the gateway relays its upstream's status.
  { from: 500, to: 599, kind: 'uncertain' },
];

/** A code in the body → kind, where the code is known at that status; elsewhere the status decides. */
const CODES: readonly (Statuses & { code: string; kind: RefusalKind })[] = [
  { code: 'invalid_request', from: 400, to: 400, kind: 'rejected' },
  { code: 'read_request_body_failed', from: 400, to: 413, kind: 'rejected' },
  { code: 'insufficient_user_quota', ...any4xx, kind: 'halted' },
  { code: 'insufficient_quota', ...any4xx, kind: 'halted' },
  { code: 'insufficient_balance', ...any4xx, kind: 'halted' },
  { code: 'pre_consume_token_quota_failed', ...any4xx, kind: 'halted' },
  { code: 'CreditInsufficient', ...any4xx, kind: 'halted' },
  // The gateway's own call upstream broke, or its answer was not understood: the task may exist.
  { code: 'do_request_failed', from: 400, to: 599, kind: 'uncertain' },
  { code: 'unmarshal_response_failed', from: 400, to: 599, kind: 'uncertain' },
  // No channel for the model now: at 503 the gateway answers before it calls the vendor.
  { code: 'model_not_found', from: 503, to: 503, kind: 'not-sent' },
];

/** The gateway's wrapper; the vendor's JSON is a string in its message. */
export const FORWARDED = 'fail_to_fetch_task';

/** The vendor's own code inside the wrapper → kind, at any refusing status. Other inner codes: the status decides. */
export const VENDOR_CODES: readonly { code: string; kind: RefusalKind }[] = [
  { code: 'ImageDownloadFailure', kind: 'rejected' },
  { code: 'TaskPromptPolicyViolation', kind: 'rejected' },
  { code: 'AuditSubmitIllegal', kind: 'rejected' },
  { code: 'CreationPolicyViolation', kind: 'rejected' },
  { code: 'CreditInsufficient', kind: 'halted' },
];

/**
 * "No balance" in words. Used only at a clear 4xx without a known code. A message may quote the row, but a false match only
 * causes a halt.
 */
export const NO_BALANCE =
  /额度不足|余额不足|insufficient (account )?(balance|credits?|quota)|quota is not enough/i;

/** The kind of a status alone. */
export function kindOfStatus(status: number): RefusalKind {
  return STATUSES.find(({ from, to }) => status >= from && status <= to)?.kind ?? 'uncertain';
}

/** The kind of a code; `forwarded`: it was found inside the gateway's wrapper. */
export function kindOfCode(code: string, status: number, forwarded: boolean): RefusalKind | undefined {
  const vendor = forwarded ? VENDOR_CODES.find((row) => row.code === code) : undefined;
  return (vendor ?? CODES.find((row) => row.code === code && status >= row.from && status <= row.to))?.kind;
}

const MOVABLE: readonly string[] = [
  'rejected',
  'throttled',
  'not-sent',
  'halted',
  'uncertain',
] satisfies RefusalKind[];

/**
 * Checks a table of moved codes from the configuration.
 * @throws usageError for a kind that does not exist, `accepted`, or a key that is an HTTP status.
 */
export function checkCodes(codes: Readonly<Record<string, string>>): CodeOverrides {
  for (const [code, kind] of Object.entries(codes)) {
    if (!MOVABLE.includes(kind)) {
      throw usageError('code-kind', `codes.${code}: "${kind}" is not one of ${MOVABLE.join(', ')}`);
    }
    // A status may come from any proxy. Only codes of the provider can be moved.
    if (code.trim() === '' || /^[1-5]\d\d$/.test(code)) {
      throw usageError(
        'code-name',
        `codes: "${code}" is not a code of the answer's body; an HTTP status cannot be moved`,
      );
    }
  }
  return codes as CodeOverrides;
}
