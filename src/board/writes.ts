import type { Queue } from 'bullmq';
import type { FastifyRequest } from 'fastify';
import type { JobData, JobResult } from '../worker/queue/queue.ts';
import { QUEUES_PATH } from './refusal.ts';
import type { Refusal } from './refusal.ts';

/** A queue that a button is about, as the shelf knows it. */
export interface Lane {
  queue: Queue<JobData, JobResult>;
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
  lane: Lane | undefined;
  /** Every queue that is shown. */
  lanes: readonly Lane[];
  pauses: Pauses;
}

type Button = (press: Press) => Decision | Promise<Decision>;

const pass: Button = () => 'pass';

function never(code: string, message: string): Button {
  return () => ({ status: 403, code, message });
}

const NOT_BY_HAND = never(
  'JOBS_FOLLOW_THE_LEDGER',
  'a job only points to a row of the ledger, and what is sent stands there: a job is neither made, copied nor edited by hand. Correct the row in its manifest and submit that again',
);

const STAYS: Refusal = {
  status: 409,
  code: 'ROW_STAYS',
  message:
    'removing a waiting job does not stop its row: the ledger fills the queue again within seconds. Pause here, or run `vidbatch cancel <batch>`',
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

  'PUT /api/queues/:queueName/pause': ({ lane, pauses }) =>
    lane === undefined ? 'pass' : done(pauses.pause(lane.batches)),
  'PUT /api/queues/:queueName/resume': async ({ lane, pauses }) => {
    if (lane === undefined) return 'pass';
    const decision = await done(pauses.resume(lane.batches));
    if (decision === 'done') await unhold([lane]);
    return decision;
  },
  'PUT /api/queues/pause': ({ pauses }) => done(pauses.pause(null)),
  'PUT /api/queues/resume': async ({ lanes, pauses }) => {
    const decision = await done(pauses.resume(null));
    if (decision === 'done') await unhold(lanes);
    return decision;
  },

  'PUT /api/queues/:queueName/:jobId/clean': async ({ request, lane }) => {
    const job = await lane?.queue.getJob((request.params as { jobId: string }).jobId);
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
async function unhold(lanes: readonly Lane[]): Promise<void> {
  for (const { queue } of lanes) if (await queue.isPaused()) await queue.resume();
}
