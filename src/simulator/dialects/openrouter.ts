import { isPlainObject } from '../../core/json.ts';
import { json } from '../answer.ts';
import {
  about,
  isSeconds,
  isText,
  randomLetters,
  reading,
  wordOf,
  type Dialect,
  type Refusals,
} from '../dialect.ts';

/** The code is the status. */
const REFUSALS: Refusals = {
  throttled: [429, '', 'Rate limit exceeded'],
  invalid: [400, '', 'Bad request'],
  policy: [403, '', 'Your chosen model requires moderation and your input was flagged'],
  image: [400, '', 'The image cannot be read'],
  unauthorized: [401, '', 'No auth credentials found'],
  forbidden: [403, '', 'Forbidden'],
  'no-balance': [402, '', 'Insufficient credits'],
  'too-large': [413, '', 'Payload too large'],
  'no-channel': [503, '', 'There is no available model provider that meets your routing requirements'],
  broken: [502, '', 'Your chosen model is down or we received an invalid response from it'],
  'no-task': [404, '', 'Job not found'],
  'no-path': [404, '', 'Not Found'],
};

const WORDS = {
  queued: 'pending',
  in_progress: 'in_progress',
  completed: 'completed',
  failed: 'failed',
  expired: 'expired',
};

const PATH = '/api/v1/videos';
const USD_A_SECOND = 0.25;

/** Video models on OpenRouter: a job tells where to ask for it, and its video needs the key. */
export const openrouter: Dialect = {
  name: 'openrouter',
  creates: [PATH],
  task: `${PATH}/{id}`,
  content: `${PATH}/{id}/content`,
  models: { path: `${PATH}/models`, names: ['google/veo-3.1', 'bytedance/seedance-2.0'] },
  keyPrefix: 'Bearer ',
  requestIdHeader: 'x-request-id',
  newTaskId: () => `job-${randomLetters()}`,
  read: reading((body) => {
    const { prompt, duration, frame_images: frames = [], input_references: references = [] } = body;
    if (!isText(prompt)) return { wrong: 'prompt is required' };
    if (!isSeconds(duration, 1, 60)) return { wrong: 'duration is not valid' };
    const images = [frames, references].flat();
    if (!images.every(isImage)) return { wrong: 'an image has no image_url.url' };
    const known = (frames as { frame_type?: unknown }[]).every(({ frame_type: type }) =>
      ['first_frame', 'last_frame'].includes(String(type)),
    );
    return known ? { prompt } : { wrong: 'an image has no frame_type' };
  }),
  created: (create) =>
    about(create, { id: create.taskId, polling_url: `${PATH}/${create.taskId}`, status: 'pending' }, 202),
  refuse: (reason, message) => {
    const [status, , text] = REFUSALS[reason];
    return json(status, { error: { code: status, message: message ?? text } });
  },
  report: (create, task, asked) => {
    const { taskId } = create;
    const polling_url = `${PATH}/${taskId}`;
    return about(create, {
      id: taskId,
      polling_url,
      status: wordOf(WORDS, task.status, asked),
      ...(task.status === 'completed'
        ? {
            generation_id: `gen-${taskId}`,
            unsigned_urls: [`${polling_url}/content?index=0`],
            usage: { cost: USD_A_SECOND * Number(create.body['duration'] ?? 5), is_byok: false },
          }
        : {}),
      ...(task.failReason === undefined ? {} : { error: task.failReason }),
    });
  },
};

function isImage(value: unknown): boolean {
  return isPlainObject(value) && isPlainObject(value['image_url']) && isText(value['image_url']['url']);
}
