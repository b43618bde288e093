import { isPlainObject } from '../../core/json.ts';
import { json } from '../answer.ts';
import {
  about,
  isText,
  randomLetters,
  reading,
  unknownIn,
  wordOf,
  type Dialect,
  type Refusals,
} from '../dialect.ts';

const FIELDS = ['model', 'prompt', 'seconds', 'size', 'input_reference', 'user'];

const REFUSALS: Refusals = {
  throttled: [429, 'rate_limit_exceeded', 'Rate limit reached for requests per minute'],
  invalid: [400, 'invalid_value', 'Invalid value'],
  policy: [400, 'moderation_blocked', 'Your request was blocked by our moderation system'],
  image: [400, 'invalid_image_url', 'Error while downloading the image'],
  unauthorized: [401, 'invalid_api_key', 'Incorrect API key provided'],
  forbidden: [403, 'unsupported_country_region_territory', 'Country, region, or territory not supported'],
  'no-balance': [429, 'insufficient_quota', 'You exceeded your current quota'],
  'too-large': [413, 'request_too_large', 'The request is too large'],
  'no-channel': [404, 'model_not_found', 'The model does not exist or you do not have access to it'],
  broken: [500, 'server_error', 'The server had an error while processing your request'],
  'no-task': [404, 'not_found', 'Video not found'],
  'no-path': [404, 'unknown_url', 'Unknown request URL'],
};

/** By code, or else by status. */
const TYPES: Record<string, string> = {
  insufficient_quota: 'insufficient_quota',
  '429': 'rate_limit_error',
  '500': 'server_error',
};

const WORDS = {
  queued: 'queued',
  in_progress: 'in_progress',
  completed: 'completed',
  failed: 'failed',
  expired: 'failed',
};

/** The format of the OpenAI Videos API: the video comes from a path of its own, and needs the key. */
export const openaiVideos: Dialect = {
  name: 'openai-videos',
  creates: ['/v1/videos'],
  task: '/v1/videos/{id}',
  content: '/v1/videos/{id}/content',
  models: { path: '/v1/models', names: ['sora-2', 'sora-2-pro'] },
  keyPrefix: 'Bearer ',
  requestIdHeader: 'x-request-id',
  newTaskId: () => `video_${randomLetters()}`,
  read: reading((body) => {
    const { prompt, seconds, input_reference: image } = body;
    const unknown = unknownIn(body, FIELDS);
    if (unknown !== undefined) return { wrong: unknown };
    if (!isText(prompt)) return { wrong: 'prompt is required' };
    if (image !== undefined && !(isPlainObject(image) && isText(image['image_url'])))
      return { wrong: 'input_reference has no image_url' };
    if (seconds === undefined) return { prompt, duration: 4 };
    return isText(seconds) && /^\d{1,2}$/.test(seconds)
      ? { prompt, duration: Number(seconds) }
      : { wrong: 'seconds is not a text such as "8"' };
  }),
  created: (create) =>
    about(create, {
      id: create.taskId,
      object: 'video',
      model: create.body['model'],
      status: 'queued',
      progress: 0,
      created_at: Math.floor(create.at / 1000),
      seconds: String(create.body['duration']),
      error: null,
    }),
  refuse: (reason, message) => {
    const [status, code, text] = REFUSALS[reason];
    const type = TYPES[code] ?? TYPES[status] ?? 'invalid_request_error';
    return json(status, { error: { message: message ?? text, type, param: null, code } });
  },
  report: (create, task, asked) => {
    const { failReason: reason } = task;
    return about(create, {
      id: create.taskId,
      object: 'video',
      model: create.body['model'],
      status: wordOf(WORDS, task.status, asked),
      progress: task.progress,
      created_at: Math.floor(create.at / 1000),
      seconds: String(create.body['duration']),
      error: reason === undefined ? null : { code: 'video_generation_failed', message: reason },
    });
  },
};
