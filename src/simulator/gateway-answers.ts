import type { AcceptedCreate } from './record.ts';
import { draw } from './random.ts';
import type { QueryShape } from './settings.ts';
import type { TaskStatus } from './tasks.ts';

/** A whole HTTP answer, before a fault. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export function json(status: number, value: unknown, headers: Record<string, string> = {}): Answer {
  const body = JSON.stringify(value);
  return { status, headers: { 'content-type': 'application/json; charset=utf-8', ...headers }, body };
}

/** A page, as from a proxy in front of the gateway. */
export function html(status: number, title: string, headers: Record<string, string> = {}): Answer {
  const body = `<!DOCTYPE html>\n<html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>\n`;
  return { status, headers: { 'content-type': 'text/html; charset=utf-8', ...headers }, body };
}

export function text(status: number, body: string, headers: Record<string, string> = {}): Answer {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers }, body };
}

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
export function invalidUrl(method: string, path: string): Answer {
  const message = `Invalid URL (${method} ${path})`;
  return json(404, { error: { message, type: 'invalid_request_error', param: '', code: '' } });
}

/** A task id that the gateway does not know, or does not know yet. */
export function taskNotExist(status: 400 | 404): Answer {
  return taskError(status, 'task_not_exist', 'task_not_exist');
}

export function tooLarge(): Answer {
  return taskError(413, 'read_request_body_failed', 'http: request body too large');
}

/** The success answer of the contract page. `at`: milliseconds since 1970. */
export function created(task: { taskId: string; model: unknown; at: number }): Answer {
  return json(200, {
    id: task.taskId,
    task_id: task.taskId,
    object: 'video.generation.job',
    model: task.model,
    status: 'queued',
    progress: 0,
    created_at: Math.floor(task.at / 1000),
  });
}

/** The same answer without the task id. */
export function withoutId(answer: Answer): Answer {
  const { id: _id, task_id: _taskId, ...rest } = JSON.parse(answer.body) as Record<string, unknown>;
  return { ...answer, body: JSON.stringify(rest) };
}

/** The place at which a cut removes the task id. */
export function cutBeforeId(body: string): number {
  const id = body.indexOf('"task_');
  return id === -1 ? Math.floor(body.length / 2) : id + 8;
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
export function report(
  create: AcceptedCreate,
  task: TaskStatus,
  options: {
    shape: QueryShape;
    unknownStatus: string | null;
    poll: number;
    seed: number;
    /** Of a completed task. */
    resultUrl: string;
  },
): Answer {
  const shape = options.shape === 'mixed' ? drawnShape(create, options) : options.shape;
  const status = word(shape, task.status, options);
  const { taskId } = create;
  const { model } = create.body;
  const created_at = Math.floor(create.at / 1000);
  const url = task.status === 'completed' ? options.resultUrl : undefined;
  const percent = `${task.progress}%`;
  const failed = task.failReason;
  switch (shape) {
    case 'flat': {
      const error = failed === undefined ? null : { code: failed, message: failed };
      const { progress } = task;
      const ids = { id: taskId, task_id: taskId };
      return json(200, { ...ids, model, status, progress, created_at, video_url: url, error });
    }
    case 'flat-url':
      return json(200, { id: taskId, model, status, progress: percent, created_at, url, error: failed });
    case 'flat-result': {
      const result = url === undefined ? null : { video_url: url };
      return json(200, { task_id: taskId, status, progress: task.progress, result, error: failed ?? '' });
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
  return json(200, { code: 'success', message: '', data });
}

function word(
  shape: Shape,
  status: TaskStatus['status'],
  options: { unknownStatus: string | null; poll: number },
) {
  if (status === 'in_progress' && options.unknownStatus !== null) return options.unknownStatus;
  const words = WORDS[shape][status];
  return words[(options.poll - 1) % words.length] ?? words[0];
}

function drawnShape(create: AcceptedCreate, options: { poll: number; seed: number }): Shape {
  const drawn = draw(options.seed, `shape-${options.poll}`, create.requestNumber);
  return SHAPES[Math.floor(drawn * SHAPES.length)] ?? 'flat';
}
