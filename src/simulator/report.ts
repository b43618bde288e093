import { type Answer, json } from './answer.ts';
import type { AcceptedCreate } from './record.ts';
import { draw } from './seed.ts';
import type { QueryShape } from './settings.ts';
import type { TaskStatus } from './tasks.ts';

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

/** The answer to "how is this task". `mixed` draws one of the shapes for every poll of every task. */
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
