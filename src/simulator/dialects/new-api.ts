import { about, isSeconds, isText, reading, unknownIn, wordOf, type Dialect } from '../dialect.ts';
import { viduGateway } from './vidu-gateway.ts';

const FIELDS = [
  'model',
  'prompt',
  'image',
  'duration',
  'width',
  'height',
  'fps',
  'seed',
  'n',
  'response_format',
  'user',
  'metadata',
];

const WORDS = {
  queued: 'queued',
  in_progress: 'in_progress',
  completed: 'completed',
  failed: 'failed',
  expired: 'failed',
};

/** A gateway that runs new-api, as its documents have it. Its refusals are those of the contract page. */
export const newApi: Dialect = {
  ...viduGateway,
  name: 'new-api',
  models: { path: '/v1/models', names: ['kling-v1', 'viduq3-pro'] },
  read: reading((body) => {
    const { prompt, image, duration } = body;
    const unknown = unknownIn(body, FIELDS);
    if (unknown !== undefined) return { wrong: unknown };
    if (!isText(prompt)) return { wrong: 'prompt is required' };
    if (image !== undefined && !isText(image)) return { wrong: 'image is not a text' };
    return isSeconds(duration, 1, 60) ? { prompt } : { wrong: 'duration is not a number of seconds' };
  }),
  created: (create) => about(create, { task_id: create.taskId, status: 'queued' }),
  report: (create, task, asked) => {
    const { duration = 5 } = create.body;
    const done = task.status === 'completed';
    const { failReason: reason } = task;
    return about(create, {
      task_id: create.taskId,
      status: wordOf(WORDS, task.status, asked),
      ...(done ? { url: asked.resultUrl, format: 'mp4', metadata: { duration, fps: 30 } } : {}),
      error: reason === undefined ? null : { code: 500, message: reason },
    });
  },
};
