import { json } from '../answer.ts';
import {
  about,
  isSeconds,
  isText,
  randomDigits,
  reading,
  wordOf,
  type Dialect,
  type Refusals,
} from '../dialect.ts';

/** The number of images that each path takes. */
const IMAGES: Record<string, readonly [least: number, most: number]> = {
  '/ent/v2/text2video': [0, 0],
  '/ent/v2/img2video': [1, 1],
  '/ent/v2/start-end2video': [2, 2],
  '/ent/v2/reference2video': [1, 7],
};

const REFUSALS: Refusals = {
  throttled: [429, 'TooManyRequests', 'too many requests'],
  invalid: [400, 'FieldInvalid', 'invalid field'],
  policy: [400, 'TaskPromptPolicyViolation', 'prompt policy violation'],
  image: [400, 'ImageDownloadFailure', 'image download failure'],
  unauthorized: [401, 'Unauthorized', 'unauthorized'],
  forbidden: [403, 'Forbidden', 'forbidden'],
  'no-balance': [400, 'CreditInsufficient', 'insufficient credits'],
  'too-large': [400, 'BadRequest', 'bad request'],
  'no-channel': [400, 'ModelUnavailable', 'model unavailable'],
  broken: [500, 'InternalServiceFailure', 'internal service failure'],
  'no-task': [404, 'TaskNotFound', 'task not found'],
  'no-path': [404, 'NotFound', 'not found'],
};

const WORDS = {
  queued: 'queueing',
  in_progress: 'processing',
  completed: 'success',
  failed: 'failed',
  expired: 'failed',
};

const CREDITS_A_SECOND = 4;

/** The API of Vidu itself. */
export const vidu: Dialect = {
  name: 'vidu',
  creates: Object.keys(IMAGES),
  task: '/ent/v2/tasks/{id}/creations',
  keyPrefix: 'Token ',
  requestIdHeader: 'x-request-id',
  newTaskId: randomDigits,
  read: reading((body, path) => {
    const { prompt, images = [], duration } = body;
    const [least, most] = IMAGES[path] ?? [0, 0];
    if (!isText(prompt)) return { wrong: 'field is missing or empty: prompt' };
    if (!Array.isArray(images) || !images.every(isText)) return { wrong: 'invalid field: images' };
    if (images.length < least || images.length > most)
      return { wrong: 'field item count out of range: images' };
    if (most === 0 && 'images' in body) return { wrong: 'unwanted field: images' };
    return isSeconds(duration, 1, 16) ? { prompt } : { wrong: 'invalid field: duration' };
  }),
  created: (create) =>
    about(create, {
      task_id: create.taskId,
      state: 'created',
      model: create.body['model'],
      prompt: create.body.prompt,
      duration: create.body['duration'] ?? 5,
      credits: credits(create.body['duration']),
      off_peak: false,
      created_at: new Date(create.at).toISOString(),
    }),
  refuse: (reason, message) => {
    const [status, code, text] = REFUSALS[reason];
    return json(status, { code: status, reason: code, message: message ?? text, metadata: {} });
  },
  report: (create, task, asked) => {
    const done = task.status === 'completed';
    const { taskId } = create;
    const urls = { url: asked.resultUrl, cover_url: `${asked.resultUrl}&cover=1` };
    return about(create, {
      state: wordOf(WORDS, task.status, asked),
      err_code: task.failReason ?? '',
      credits: done ? credits(create.body['duration']) : 0,
      payload: '',
      creations: done ? [{ id: `${taskId}-1`, ...urls }] : [],
    });
  },
};

function credits(duration: unknown): number {
  return CREDITS_A_SECOND * Number(duration ?? 5);
}
