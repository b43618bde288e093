import type { FastifyRequest } from 'fastify';
import type { Database } from '../database/database.ts';
import { isPaused, pauseBy, resumeBy } from '../ledger/operator/pause.ts';
import { readBatchNames } from '../ledger/read/batch-numbers.ts';
import type { ChunkQueue } from '../worker/queue/queue.ts';
import type { Refusal } from './responses.ts';
import { QUEUES_PATH } from './url.ts';

/** A queue that a button acts on. */
export interface ShownQueue {
  queue: ChunkQueue;
  /** The batches of the `run` that the queue belongs to; null: all batches. */
  batches: readonly number[] | null;
}

/** The pause buttons change the ledger, because the queue only mirrors it. */
export interface PauseActions {
  /** `null`: everything. Resolves with the reason if it was not done. */
  pause(batches: readonly number[] | null): Promise<Refusal | undefined>;
  resume(batches: readonly number[] | null): Promise<Refusal | undefined>;
}

/** `done`: the ledger has done it; `pass`: Bull Board may do it. */
type Decision = 'done' | 'pass' | Refusal;

interface Write {
  request: FastifyRequest;
  shown: ShownQueue | undefined;
  /** Every queue that is shown. */
  all: readonly ShownQueue[];
  pauses: PauseActions;
}

type Button = (write: Write) => Decision | Promise<Decision>;

const pass: Button = () => 'pass';

function never(code: string, message: string): Button {
  return () => ({ status: 403, code, message });
}

const NOT_BY_HAND = never(
  'JOBS_FOLLOW_THE_LEDGER',
  'a job only allows a worker to send rows of the ledger: it cannot be made, copied or edited by hand. Correct the row in its manifest and submit the manifest again',
);

const STAYS: Refusal = {
  status: 409,
  code: 'ROWS_STAY',
  message:
    'removing a waiting job stops no row: workers fill the queue again within a second. Pause here, or run `vidbatch cancel <batch>`',
};

/**
 * Every button of Bull Board that writes. Any other request is refused, so that a button of a newer Bull Board does
 * nothing until it has a line here. No button can send a row twice, because only a claim sends. This table is about what
 * a person believes: a button is refused if it seems to stop a row that is then sent and paid for.
 */
const BUTTONS: Record<string, Button> = {
  // The claim decides whether there is a row to send.
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
    if (decision === 'done') await resumeQueues([shown]);
    return decision;
  },
  'PUT /api/queues/pause': ({ pauses }) => done(pauses.pause(null)),
  'PUT /api/queues/resume': async ({ all, pauses }) => {
    const decision = await done(pauses.resume(null));
    if (decision === 'done') await resumeQueues(all);
    return decision;
  },

  'PUT /api/queues/:queueName/:jobId/clean': async ({ request, shown }) => {
    const job = await shown?.queue.getJob((request.params as { jobId: string }).jobId);
    return job === undefined || isFinished(await job.getState()) ? 'pass' : STAYS;
  },
  'PUT /api/queues/:queueName/clean/:queueStatus': ({ request }) =>
    isFinished((request.params as { queueStatus: string }).queueStatus) ? 'pass' : STAYS,
  'PUT /api/queues/:queueName/empty': () => STAYS,
  'PUT /api/queues/:queueName/obliterate': () => STAYS,

  'POST /api/queues/:queueName/add': NOT_BY_HAND,
  'PATCH /api/queues/:queueName/:jobId/update-data': NOT_BY_HAND,

  'PUT /api/queues/:queueName/concurrency': never(
    'SET_BY_WORKERS',
    'the number of open calls is set where workers start: `vidbatch work --concurrency <n>`',
  ),
  'PUT /api/queues/:queueName/rate-limit': never(
    'SET_BY_WORKERS',
    'the rate of all workers is set where they start: `vidbatch work --rate 10/s`',
  ),
};

const UNKNOWN = never('NOT_USED', 'vidbatch does not use this button');

/** Decides about a writing request below Bull Board's path. */
export function decideWrite(write: Write): Decision | Promise<Decision> {
  const { method, routeOptions } = write.request;
  const route = (routeOptions.url ?? '').replace(QUEUES_PATH, '');
  const button = Object.hasOwn(BUTTONS, `${method} ${route}`) ? BUTTONS[`${method} ${route}`] : undefined;
  return (button ?? UNKNOWN)(write);
}

function isFinished(state: string): boolean {
  return state === 'completed' || state === 'failed';
}

async function done(refusal: Promise<Refusal | undefined>): Promise<Decision> {
  return (await refusal) ?? 'done';
}

/** Another tool may have paused the queue itself. A person who resumes wants that ended, too. */
async function resumeQueues(queues: readonly ShownQueue[]): Promise<void> {
  for (const { queue } of queues) if (await queue.isPaused()) await queue.resume();
}

/** The pause buttons write what `vidbatch pause` writes. `who` is the name in the event log. */
export function createPauseActions(db: Database, who: string): PauseActions {
  return {
    async pause(batches) {
      await pauseBy(db, who, batches === null ? undefined : await readBatchNames(db, batches));
      return undefined;
    },
    async resume(batches) {
      if (batches !== null && (await isPaused(db))) {
        return {
          status: 409,
          code: 'EVERYTHING_PAUSED',
          message:
            'everything is paused, so this run is, too: resume "all batches", or run `vidbatch resume`',
        };
      }
      await resumeBy(db, who, batches === null ? undefined : await readBatchNames(db, batches));
      return undefined;
    },
  };
}
