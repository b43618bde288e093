import { usageError } from '../core/errors.ts';
import { type Answer, html, text } from './answer.ts';
import type { Dialect, Reason } from './dialect.ts';
import { gatewayError, taskError, tooLarge, vendorError } from './gateway-answers.ts';
import { parseRated, quote } from './random.ts';

/**
 * What happens to a request. All but `answer` start from the success answer, also if no task was created: the client must
 * not see the difference. `answer` gets the time in milliseconds.
 */
export type Behaviour =
  | { does: 'reset'; when: 'before-body' | 'after-body' | 'in-answer' }
  | { does: 'hang-up'; when: 'after-body' | 'in-answer' }
  | { does: 'hang' }
  | { does: 'slow'; part: 'accept' | 'headers' | 'body' }
  | { does: 'spoil'; by: 'truncating' | 'dropping-id' }
  | { does: 'close' }
  | { does: 'leave' }
  | RefusingBehaviour;

/** `says`: what another dialect says in its own words. Without it, the answer is a proxy's, the same before any provider. */
interface RefusingBehaviour {
  does: 'answer';
  answer: (now: number) => Answer;
  says?: Reason;
}

export interface FaultKind {
  /** One line for people: what the client sees. */
  about: string;
  /** Whether a task exists afterwards. */
  creates: 'either' | 'always' | 'never';
  behaviour: Behaviour;
}

const fault = (about: string, creates: FaultKind['creates'], behaviour: Behaviour): FaultKind => ({
  about,
  creates,
  behaviour,
});
const refuses = (about: string, answer: (now: number) => Answer, says?: Reason): FaultKind =>
  fault(about, 'never', { does: 'answer', answer, ...(says === undefined ? {} : { says }) });
const breaks = (about: string, answer: (now: number) => Answer, says?: Reason): FaultKind =>
  fault(about, 'either', { does: 'answer', answer, ...(says === undefined ? {} : { says }) });

/** The answer of a fault in a dialect. A wait that it tells is the same in each. */
export function answerOf({ answer, says }: RefusingBehaviour, now: number, dialect: Dialect): Answer {
  const own = answer(now);
  if (says === undefined || dialect.gateway === true) return own;
  const spoken = dialect.refuse(says);
  const wait = own.headers['retry-after'];
  return wait === undefined ? spoken : { ...spoken, headers: { ...spoken.headers, 'retry-after': wait } };
}

/** Seconds from now as an HTTP date, rounded up, so that the client does not come back early. */
const dateIn = (now: number, seconds: number): string =>
  new Date(Math.ceil(now / 1000 + seconds) * 1000).toUTCString();

const busy = (headers: Record<string, string> = {}): Answer =>
  gatewayError(429, 'rate_limit_exceeded', 'Too many requests, please try again later', headers);

/** Every fault by name. */
export const FAULTS = {
  'reset-before-body': fault('connection reset once the head of the request has been read', 'never', {
    does: 'reset',
    when: 'before-body',
  }),
  'reset-after-body': fault('connection reset once the whole request has been read', 'either', {
    does: 'reset',
    when: 'after-body',
  }),
  'reset-in-answer': fault('head and beginning of the success answer, then a reset', 'either', {
    does: 'reset',
    when: 'in-answer',
  }),
  'close-after-body': fault(
    'connection closed in order once the whole request has been read, and no answer',
    'either',
    { does: 'hang-up', when: 'after-body' },
  ),
  'close-in-answer': fault(
    'head and beginning of the success answer, then the connection is closed in order',
    'either',
    { does: 'hang-up', when: 'in-answer' },
  ),
  timeout: fault('never answered', 'either', { does: 'hang' }),
  'accept-late': fault(
    'nothing for slowMs, then accepted, even if the client has gone, and answered',
    'always',
    { does: 'slow', part: 'accept' },
  ),
  'slow-headers': fault('accepted, then nothing for slowMs, then the whole answer', 'always', {
    does: 'slow',
    part: 'headers',
  }),
  'slow-body': fault('the head at once, the body in drops over slowMs', 'always', {
    does: 'slow',
    part: 'body',
  }),
  'truncated-json': fault('200, well-formed HTTP, its JSON cut before the task id', 'either', {
    does: 'spoil',
    by: 'truncating',
  }),
  'no-id': fault('200 with valid JSON and no task id', 'either', { does: 'spoil', by: 'dropping-id' }),
  'close-idle': fault('a good answer that promises keep-alive, then the socket is closed at once', 'always', {
    does: 'close',
  }),
  outage: fault('a good answer, then every connection is cut and new ones are refused for slowMs', 'always', {
    does: 'leave',
  }),
  'html-200': breaks('200 with a page', () => html(200, 'New API')),
  'status-408': breaks('408 with a page', () => html(408, '408 Request Time-out')),
  'status-409': breaks('409, plain text', () => text(409, 'conflict')),
  'status-425': breaks('425, plain text', () => text(425, 'too early')),
  'status-500': breaks(
    "500 do_request_failed: the gateway's own call upstream broke",
    () => taskError(500, 'do_request_failed', 'do request failed: unexpected EOF'),
    'broken',
  ),
  'status-500-unreadable': breaks(
    "500 unmarshal_response_failed: the vendor's answer was not JSON",
    () => taskError(500, 'unmarshal_response_failed', "invalid character '<' looking for beginning of value"),
    'broken',
  ),
  'status-502': breaks('502 with a page', () => html(502, '502 Bad Gateway')),
  'status-503': breaks('503, plain text, as Envoy says it', () =>
    text(
      503,
      'upstream connect error or disconnect/reset before headers. reset reason: connection termination',
    ),
  ),
  'status-503-seconds': breaks('503 with a page and Retry-After: 1', () =>
    html(503, '503 Service Temporarily Unavailable', { 'retry-after': '1' }),
  ),
  'status-503-html': breaks('503 with a page', () => html(503, '503 Service Temporarily Unavailable')),
  'status-503-model-not-found': refuses(
    '503 model_not_found: no channel now',
    () => gatewayError(503, 'model_not_found', 'No available channel for the model under group default'),
    'no-channel',
  ),
  'status-504': breaks('504 with a page', () => html(504, '504 Gateway Time-out')),
  'status-524': breaks('524 with a page, as Cloudflare says it', () => html(524, '524: A timeout occurred')),
  throttle: refuses('429 without Retry-After', () => busy(), 'throttled'),
  'throttle-seconds': refuses('429 with Retry-After: 1', () => busy({ 'retry-after': '1' }), 'throttled'),
  'throttle-date': refuses(
    '429 with Retry-After as a date, one to two seconds ahead',
    (now) => busy({ 'retry-after': dateIn(now, 1) }),
    'throttled',
  ),
  'throttle-vendor': refuses(
    "429 that relays the vendor's refusal",
    () => vendorError(429, 'QuotaExceeded', 'exceeded concurrency limit'),
    'throttled',
  ),
  'throttle-empty': refuses('429 with an empty body', () => ({ status: 429, headers: {}, body: '' })),
  'throttle-html': refuses('429 with a page', () => html(429, '429 Too Many Requests')),
  'throttle-empty-seconds': refuses('429 with an empty body and Retry-After: 1', () => ({
    status: 429,
    headers: { 'retry-after': '1' },
    body: '',
  })),
  'throttle-html-seconds': refuses('429 with a page and Retry-After: 1', () =>
    html(429, '429 Too Many Requests', { 'retry-after': '1' }),
  ),
  'invalid-request': refuses(
    '400 invalid_request',
    () => taskError(400, 'invalid_request', 'invalid request body'),
    'invalid',
  ),
  'invalid-request-error': refuses(
    '400 invalid_request, in the other shape',
    () => gatewayError(400, 'invalid_request', 'invalid request body'),
    'invalid',
  ),
  policy: refuses(
    '400, the vendor refused the prompt',
    () => vendorError(400, 'TaskPromptPolicyViolation', 'prompt policy violation'),
    'policy',
  ),
  'policy-error': refuses(
    '400, the same in the other shape',
    () => gatewayError(400, 'TaskPromptPolicyViolation', 'prompt policy violation'),
    'policy',
  ),
  'policy-creation': refuses(
    '400, the vendor refused what came out',
    () => vendorError(400, 'CreationPolicyViolation', 'creation policy violation'),
    'policy',
  ),
  'policy-audit': refuses(
    '400, the vendor refused the input',
    () => vendorError(400, 'AuditSubmitIllegal', 'submit is illegal'),
    'policy',
  ),
  'image-download': refuses(
    '400, the vendor could not fetch an image',
    () => vendorError(400, 'ImageDownloadFailure', 'image download failure'),
    'image',
  ),
  unauthorized: refuses(
    '401, bad key',
    () => gatewayError(401, 'invalid_api_key', 'Invalid token'),
    'unauthorized',
  ),
  'payment-required': refuses(
    '402',
    () => gatewayError(402, 'insufficient_user_quota', 'Payment required'),
    'no-balance',
  ),
  forbidden: refuses(
    '403, no right to the model',
    () => gatewayError(403, 'access_denied', 'This token has no access to the model'),
    'forbidden',
  ),
  'no-balance': refuses(
    '403 insufficient_user_quota',
    () => taskError(403, 'insufficient_user_quota', 'user quota is not enough'),
    'no-balance',
  ),
  'no-balance-error': refuses(
    '403 insufficient_user_quota, in the other shape',
    () => gatewayError(403, 'insufficient_user_quota', 'user quota is not enough'),
    'no-balance',
  ),
  'no-balance-vendor': refuses(
    "400, the operator's account with the vendor is empty",
    () => vendorError(400, 'CreditInsufficient', 'insufficient credits'),
    'no-balance',
  ),
  'not-found': refuses('404 with a page', () => html(404, '404 Not Found')),
  'method-not-allowed': refuses('405 with a page', () => html(405, '405 Not Allowed')),
  'too-large': refuses('413 read_request_body_failed', tooLarge, 'too-large'),
  'unsupported-media': refuses(
    '415',
    () => taskError(415, 'invalid_request', 'unsupported content type'),
    'invalid',
  ),
  unprocessable: refuses('422', () => taskError(422, 'invalid_request', 'unprocessable entity'), 'invalid'),
  redirect: refuses('307 to a path that accepts nothing', () =>
    html(307, '307 Temporary Redirect', { location: '/moved/v1/video/generations' }),
  ),
} as const satisfies Record<string, FaultKind>;

export type FaultName = keyof typeof FAULTS;

export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[];

/** A requested fault, and whether a task exists afterwards. */
export interface ChosenFault {
  name: FaultName;
  created: boolean;
}

export function faultKind(fault: ChosenFault): FaultKind {
  return FAULTS[fault.name];
}

/** A clear refusal: no task was created. */
export function isRefusal(kind: FaultKind): boolean {
  return kind.behaviour.does === 'answer' && kind.creates === 'never';
}

/** A fault that strikes a share of all creates. */
export interface RatedFault extends ChosenFault {
  /** 0-1. */
  rate: number;
}

/**
 * Reads `name`, `name:created` or `name:not-created`; a fault with both variants is `created` by default, which costs
 * money. Throws a usage error that lists the known names.
 */
export function parseFaultName(spec: string): ChosenFault {
  const [name = '', variant, ...rest] = spec.trim().split(':');
  if (!isFaultName(name)) {
    const known = `known: ${FAULT_NAMES.join(', ')}`;
    throw usageError('unknown-fault', `fault ${quote(name)} is not known`, known);
  }
  const { creates } = FAULTS[name];
  if (rest.length > 0 || (variant !== undefined && variant !== 'created' && variant !== 'not-created')) {
    throw usageError('unknown-variant', `fault ${quote(spec)}: after ${name} only :created or :not-created`);
  }
  const created = variant === undefined ? creates !== 'never' : variant === 'created';
  if ((created && creates === 'never') || (!created && creates === 'always')) {
    const message = `fault ${name} ${creates} creates a task: ${quote(spec)} is not possible`;
    throw usageError('unknown-variant', message);
  }
  return { name, created };
}

/** Reads `name[:created|:not-created][=rate]`, for example `timeout:created=0.01`. Without a rate: every create. */
export function parseFault(spec: string): RatedFault {
  const { name, rate } = parseRated('fault', spec);
  return { ...parseFaultName(name), rate };
}

function isFaultName(name: string): name is FaultName {
  return Object.hasOwn(FAULTS, name);
}
