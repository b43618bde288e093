import type { FastifyRequest } from 'fastify';
import type { ChunkQueue } from '../worker/queue/queue.ts';
import { QUEUES_PATH } from './refusal.ts';
import type { Refusal } from './refusal.ts';

/** A queue that a button is about, as the shelf knows it. */
export interface ShownQueue {
  queue: ChunkQueue;
  /** Of the run that the queue belongs to; null: of all batches. */
  batches: readonly number[] | null;
}

/** What the ledger is asked to do, since the queue only mirrors it. */
export interface Pauses {
  /** `null`: everything. Resolves with why not. */
  pause(batches: readonly number[] | null): Promise<Refusal | undefined>;
  resume(batches: readonly number[] | null): Promise<Refusal | undefined>;
}

/** `done`: it is done, in the ledger; `pass`: Bull Board may do it. */
type Decision = 'done' | 'pass' | Refusal;

interface Press {
  request: FastifyRequest;
  shown: ShownQueue | undefined;
  /** Every queue that is shown. */
  all: readonly ShownQueue[];
  pauses: Pauses;
}

type Button = (press: Press) => Decision | Promise<Decision>;

const pass: Button = () => 'pass';

function never(code: string, message: string): Button {
  return () => ({ status: 403, code, message });
}

const NOT_BY_HAND = never(
  'JOBS_FOLLOW_THE_LEDGER',
  'a job is leave to send rows that stand in the ledger: it is neither made, copied nor edited by hand. Correct the row in its manifest and submit that again',
);

const STAYS: Refusal = {
  status: 409,
  code: 'ROWS_STAY',
  message:
    'removing a waiting job stops no row: the ledger fills the queue again within a second. Pause here, or run `vidbatch cancel <batch>`',
};

/**
 * Every button of Bull Board that writes. What is not here is refused, so that a button of a newer Bull Board does
 * nothing until it has been thought about. Nothing here can make a row be sent twice, for only a claim sends; it is
 * about what a person would believe: a button that seems to stop a row which is then paid for is refused.
 */
const BUTTONS: Record<string, Button> = {
  // The claim decides whether there is anything to send.
  'PUT /api/queues/:queueName/:jobId/retry': pass,
  'PUT /api/queues/:queueName/retry/:queueStatus': pass,
  'PUT /api/queues/:queueName/:jobId/promote': pass,
  'PUT /api/queues/:queueName/promote': pass,
  'PATCH /api/queues/:queueName/:jobId/delay': pass,
  'PATCH /api/queues/:queueName/:jobId/priority': pass,

  'PUT /api/queues/:queueName/pause': ({ shown, pauses }) =>
    shown === undefined ? 'pass' : done(pauses.pause(shown.batches)),
  'PUT /api/queues/:queueName/resume': async ({ shown, pauses }) => {
    if (shown === undefined) return 'pass';
    const decision = await done(pauses.resume(shown.batches));
    if (decision === 'done') await unhold([shown]);
    return decision;
  },
  'PUT /api/queues/pause': ({ pauses }) => done(pauses.pause(null)),
  'PUT /api/queues/resume': async ({ all, pauses }) => {
    const decision = await done(pauses.resume(null));
    if (decision === 'done') await unhold(all);
    return decision;
  },

  'PUT /api/queues/:queueName/:jobId/clean': async ({ request, shown }) => {
    const job = await shown?.queue.getJob((request.params as { jobId: string }).jobId);
    return job === undefined || isOver(await job.getState()) ? 'pass' : STAYS;
  },
  'PUT /api/queues/:queueName/clean/:queueStatus': ({ request }) =>
    isOver((request.params as { queueStatus: string }).queueStatus) ? 'pass' : STAYS,
  'PUT /api/queues/:queueName/empty': () => STAYS,
  'PUT /api/queues/:queueName/obliterate': () => STAYS,

  'POST /api/queues/:queueName/add': NOT_BY_HAND,
  'PATCH /api/queues/:queueName/:jobId/update-data': NOT_BY_HAND,

  'PUT /api/queues/:queueName/concurrency': never(
    'SET_BY_WORKERS',
    'how many calls are open is set where workers start: `vidbatch work --concurrency <n>`',
  ),
  'PUT /api/queues/:queueName/rate-limit': never(
    'SET_BY_WORKERS',
    'the rate of all workers is set where they start: `vidbatch work --rate 10/s`',
  ),
};

const UNKNOWN = never('NOT_USED', 'vidbatch does not use this');

/** What becomes of a writing request below Bull Board's path. */
export function decide(press: Press): Decision | Promise<Decision> {
  const { method, routeOptions } = press.request;
  const route = (routeOptions.url ?? '').replace(QUEUES_PATH, '');
  const button = Object.hasOwn(BUTTONS, `${method} ${route}`) ? BUTTONS[`${method} ${route}`] : undefined;
  return (button ?? UNKNOWN)(press);
}

function isOver(state: string): boolean {
  return state === 'completed' || state === 'failed';
}

async function done(refusal: Promise<Refusal | undefined>): Promise<Decision> {
  return (await refusal) ?? 'done';
}

/** Another tool may have paused the queue itself: whoever resumes means that too. */
async function unhold(queues: readonly ShownQueue[]): Promise<void> {
  for (const { queue } of queues) if (await queue.isPaused()) await queue.resume();
}
