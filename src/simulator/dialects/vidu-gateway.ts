import type { Answer } from '../answer.ts';
import { randomLetters, type Dialect, type Reason } from '../dialect.ts';
import {
  created,
  gatewayError,
  invalidUrl,
  report,
  taskError,
  taskNotExist,
  tooLarge,
  vendorError,
} from '../gateway-answers.ts';
import { validate } from './gateway-rules.ts';

const REFUSALS: Record<Reason, (message?: string) => Answer> = {
  throttled: (message = 'Too many requests, please try again later') =>
    gatewayError(429, 'rate_limit_exceeded', message),
  invalid: (message = 'invalid request body') => taskError(400, 'invalid_request', message),
  policy: () => vendorError(400, 'TaskPromptPolicyViolation', 'prompt policy violation'),
  image: () => vendorError(400, 'ImageDownloadFailure', 'image download failure'),
  unauthorized: () => gatewayError(401, 'invalid_api_key', 'Invalid token'),
  forbidden: () => gatewayError(403, 'access_denied', 'This token has no access to the model'),
  'no-balance': () => taskError(403, 'insufficient_user_quota', 'user quota is not enough'),
  'too-large': tooLarge,
  'no-channel': () => gatewayError(503, 'model_not_found', 'No available channel for the model'),
  broken: () => taskError(500, 'do_request_failed', 'do request failed: unexpected EOF'),
  'no-task': () => taskNotExist(400),
  'no-path': (message = 'Invalid URL') => invalidUrl(message),
};

/** The endpoint of the contract page. */
export const viduGateway: Dialect = {
  name: 'vidu-gateway',
  creates: ['/v1/video/generations'],
  task: '/v1/video/generations/{id}',
  keyPrefix: 'Bearer ',
  requestIdHeader: 'x-oneapi-request-id',
  gateway: true,
  newTaskId: () => `task_${randomLetters()}`,
  read: (bodyText, _path, extraModels) => validate(bodyText, extraModels),
  created,
  refuse: (reason, message) => REFUSALS[reason](message),
  report,
  missing: taskNotExist,
};
