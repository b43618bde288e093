import { json, type Answer } from './answer.ts';
import { about, type Asked, type QueryShape, type TaskStatus } from './dialect.ts';
import type { AcceptedCreate } from './record.ts';
import { draw } from './random.ts';

/** The gateway's shape for refusals about the account, the key or the channel. */
export function gatewayError(
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): Answer {
  return json(status, { error: { message, type: 'new_api_error', code } }, headers);
}

/** The gateway's shape for refusals about a task. */
export function taskError(
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): Answer {
  return json(status, { code, message, data: null }, headers);
}

/** The gateway relays a refusal of the vendor: the vendor's JSON, as a string inside the message. */
export function vendorError(
  status: number,
  reason: string,
  message: string,
  headers: Record<string, string> = {},
): Answer {
  const inner = JSON.stringify({ code: status, reason, message, metadata: {} });
  return taskError(status, 'fail_to_fetch_task', inner, headers);
}

/** No such path on the gateway. */
export function invalidUrl(message: string): Answer {
  return json(404, { error: { message, type: 'invalid_request_error', param: '', code: '' } });
}

/** A task id that the gateway does not know, or does not know yet. */
export function taskNotExist(status: 400 | 404): Answer {
  return taskError(status, 'task_not_exist', 'task_not_exist');
}

export function tooLarge(): Answer {
  return taskError(413, 'read_request_body_failed', 'http: request body too large');
}

/** The success answer of the contract page. */
export function created(create: AcceptedCreate): Answer {
  return about(create, {
    id: create.taskId,
    task_id: create.taskId,
    object: 'video.generation.job',
    model: create.body['model'],
    status: 'queued',
    progress: 0,
    created_at: Math.floor(create.at / 1000),
  });
}

type Shape = Exclude<QueryShape, 'mixed'>;
type Words = Record<TaskStatus['status'], readonly [string, ...string[]]>;

const SHAPES = ['flat', 'flat-url', 'flat-result', 'wrapped'] as const;

/** The words of each shape for a status, one poll after another; together, every word of `api.md`. */
const WORDS: Record<Shape, Words> = {
  flat: {
    queued: ['queued'],
    in_progress: ['in_progress'],
    completed: ['completed'],
    failed: ['failed'],
    expired: ['expired'],
  },
  'flat-url': {
    queued: ['queueing', 'submitted'],
    in_progress: ['processing'],
    completed: ['succeeded'],
    failed: ['failure'],
    expired: ['timeout'],
  },
  'flat-result': {
    queued: ['created'],
    in_progress: ['running'],
    completed: ['success'],
    failed: ['failed'],
    expired: ['cancelled'],
  },
  wrapped: {
    queued: ['NOT_START', 'SUBMITTED', 'QUEUED'],
    in_progress: ['IN_PROGRESS'],
    completed: ['SUCCESS'],
    failed: ['FAILURE'],
    expired: ['FAILURE'],
  },
};

/** The answer to a poll. `mixed` draws a shape for each poll. */
export function report(create: AcceptedCreate, task: TaskStatus, asked: Asked): Answer {
  const { queryShape } = asked;
  const shape = queryShape === 'mixed' ? drawnShape(create, asked) : queryShape;
  const status = word(shape, task.status, asked);
  const { taskId } = create;
  const { model } = create.body;
  const created_at = Math.floor(create.at / 1000);
  const url = task.status === 'completed' ? asked.resultUrl : undefined;
  const percent = `${task.progress}%`;
  const failed = task.failReason;
  switch (shape) {
    case 'flat': {
      const error = failed === undefined ? null : { code: failed, message: failed };
      const { progress } = task;
      const ids = { id: taskId, task_id: taskId };
      return about(create, { ...ids, model, status, progress, created_at, video_url: url, error });
    }
    case 'flat-url':
      return about(create, { id: taskId, model, status, progress: percent, created_at, url, error: failed });
    case 'flat-result': {
      const result = url === undefined ? null : { video_url: url };
      return about(create, { task_id: taskId, status, progress: task.progress, result, error: failed ?? '' });
    }
    case 'wrapped':
      break;
  }
  const data = {
    task_id: taskId,
    status,
    fail_reason: failed ?? '',
    result_url: url ?? '',
    progress: percent,
  };
  return about(create, { code: 'success', message: '', data });
}

function word(shape: Shape, status: TaskStatus['status'], { unknownStatus, poll }: Asked) {
  if (status === 'in_progress' && unknownStatus !== null) return unknownStatus;
  const words = WORDS[shape][status];
  return words[(poll - 1) % words.length] ?? words[0];
}

function drawnShape(create: AcceptedCreate, { poll, seed }: Asked): Shape {
  const drawn = draw(seed, `shape-${poll}`, create.requestNumber);
  return SHAPES[Math.floor(drawn * SHAPES.length)] ?? 'flat';
}
