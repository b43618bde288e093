import { json } from '../answer.ts';
import {
  about,
  isSeconds,
  randomLetters,
  readContent,
  reading,
  wordOf,
  type Dialect,
  type Refusals,
} from '../dialect.ts';

const REFUSALS: Refusals = {
  throttled: [429, 'RateLimitExceeded.EndpointRPMExceeded', 'The RPM limit of the endpoint was exceeded'],
  invalid: [400, 'InvalidParameter', 'One or more parameters specified in the request are not valid'],
  policy: [400, 'InputTextSensitiveContentDetected', 'The input text may contain sensitive information'],
  image: [400, 'InvalidParameter.UnsupportedImageFormat', 'The image cannot be read'],
  unauthorized: [401, 'AuthenticationError', 'The API key in the request is missing or invalid'],
  forbidden: [403, 'AccessDenied', 'You do not have access to the requested resource'],
  'no-balance': [403, 'AccountOverdueError', 'Your account has an overdue balance'],
  'too-large': [400, 'InvalidParameter.OversizedImage', 'The size of the input image exceeds the limit'],
  'no-channel': [404, 'ModelNotOpen', 'Your account has not activated the model'],
  broken: [500, 'InternalServiceError', 'The service encountered an unexpected internal error'],
  'no-task': [404, 'NotFound.id', 'The specified task is not found'],
  'no-path': [404, 'NotFound', 'The requested resource is not found'],
};

const TYPES: Record<number, string> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  429: 'TooManyRequests',
  500: 'InternalServerError',
};

const WORDS = {
  queued: 'queued',
  in_progress: 'running',
  completed: 'succeeded',
  failed: 'failed',
  expired: 'expired',
};

const TOKENS_A_SECOND = 21_780;

/** Seedance on Volcengine Ark. */
export const ark: Dialect = {
  name: 'ark',
  creates: ['/api/v3/contents/generations/tasks'],
  task: '/api/v3/contents/generations/tasks/{id}',
  keyPrefix: 'Bearer ',
  requestIdHeader: 'x-request-id',
  newTaskId: () => `cgt-20261130-${randomLetters().slice(0, 12)}`,
  read: reading((body) =>
    isSeconds(body['duration'], 2, 15) ? readContent(body) : { wrong: 'duration is not valid' },
  ),
  created: (create) => about(create, { id: create.taskId }),
  refuse: (reason, message) => {
    const [status, code, text] = REFUSALS[reason];
    const error = { code, message: `${message ?? text}. Request id: simulated`, param: '' };
    return json(status, { error: { ...error, type: TYPES[status] } });
  },
  report: (create, task, asked) => {
    const { duration = 5, model } = create.body;
    const { failReason: reason } = task;
    const at = Math.floor(create.at / 1000);
    const tokens = TOKENS_A_SECOND * Number(duration);
    return about(create, {
      id: create.taskId,
      model,
      status: wordOf(WORDS, task.status, asked),
      error: reason === undefined ? null : { code: 'OutputVideoSensitiveContentDetected', message: reason },
      created_at: at,
      updated_at: at,
      ...(task.status === 'completed'
        ? {
            content: { video_url: asked.resultUrl },
            usage: { completion_tokens: tokens, total_tokens: tokens },
            duration,
          }
        : {}),
    });
  },
};
