import { json } from '../answer.ts';
import {
  about,
  isSeconds,
  randomDigits,
  readContent,
  reading,
  wordOf,
  type Dialect,
  type Json,
  type Refusals,
} from '../dialect.ts';

const REFUSALS: Refusals = {
  throttled: [429, 'rate_limit_error', 'rate limit, please retry later (1002)'],
  invalid: [400, 'bad_request_error', 'invalid params (2013)'],
  policy: [422, 'unprocessable_entity_error', 'video description contains sensitive content (1026)'],
  image: [400, 'bad_request_error', 'invalid params, the image cannot be read (2013)'],
  unauthorized: [401, 'authorized_error', 'login fail (1004)'],
  forbidden: [401, 'authorized_error', 'no right to the model (1004)'],
  'no-balance': [402, 'insufficient_balance_error', 'insufficient balance (1008)'],
  'too-large': [400, 'bad_request_error', 'invalid params, too large (2013)'],
  'no-channel': [400, 'bad_request_error', 'invalid params, unknown model (2013)'],
  broken: [500, 'server_error', 'internal error (1000)'],
  'no-task': [400, 'bad_request_error', 'invalid task_id (2013)'],
  'no-path': [404, 'not_found_error', 'not found'],
};

const WORDS = {
  queued: 'queued',
  in_progress: 'running',
  completed: 'succeeded',
  failed: 'failed',
  expired: 'expired',
};

/** MiniMax video generation, version 2. */
export const minimax: Dialect = {
  name: 'minimax',
  creates: ['/v2/video_generation'],
  task: '/v2/query/video_generation/{id}',
  keyPrefix: 'Bearer ',
  requestIdHeader: 'x-request-id',
  newTaskId: randomDigits,
  read: reading((body) => {
    const { duration, ratio } = body;
    if (duration === undefined || !isSeconds(duration, 4, 15)) return { wrong: 'duration is not 4 to 15' };
    const read = readContent(body);
    if ('wrong' in read || !isAlone(body)) return read;
    return ratio === undefined || ratio === 'adaptive' ? { wrong: 'text alone needs a ratio' } : read;
  }),
  created: (create) => about(create, { task_id: create.taskId }),
  refuse: (reason, message) => {
    const [status, type, text] = REFUSALS[reason];
    return json(status, {
      type: 'error',
      error: { type, message: message ?? text, http_code: String(status) },
      request_id: 'simulated',
    });
  },
  report: (create, task, asked) => {
    const { duration, model } = create.body;
    const { failReason: reason } = task;
    return about(create, {
      id: create.taskId,
      model,
      status: wordOf(WORDS, task.status, asked),
      ...(task.status === 'completed'
        ? { content: { url: asked.resultUrl }, duration, usage: { total_seconds: duration } }
        : {}),
      ...(reason === undefined ? {} : { error: { code: 1027, message: reason } }),
    });
  },
};

/** A text without images. */
function isAlone({ content }: Json): boolean {
  return Array.isArray(content) && content.length === 1;
}
