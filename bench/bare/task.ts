/** What a bare contender is told. */
export interface Task {
  baseUrl: string;
  rows: number;
  concurrency: number;
  redisUrl: string;
  databaseUrl: string;
  folder: string;
  manifest: string;
}

export function readTask(): Task {
  return JSON.parse(process.env['BENCH_TASK'] ?? '{}') as Task;
}

/** What a bare job carries. */
export interface Body {
  body: string;
}

/** The name of the queue, and of the job. */
export const QUEUE = 'bench';
/** How many jobs one call adds: as vidbatch's feeder does. */
export const BULK = 500;
/** Finished jobs that are kept: as vidbatch does. */
export const KEEP = { removeOnComplete: { count: 1000 }, removeOnFail: { count: 1000 } };
