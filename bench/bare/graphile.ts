/** graphile-worker with the same POST as its task. */
import { Logger, run } from 'graphile-worker';
import { crashPoint } from '../../src/core/crash-points.ts';
import { openPoster } from './post.ts';
import { QUEUE, readTask, type Body } from './task.ts';

const { baseUrl, rows, concurrency, databaseUrl } = readTask();
const { post, close } = openPoster(baseUrl, concurrency);
const { promise: done, resolve: finish } = Promise.withResolvers<void>();
/** The values with which its own documentation gets its best numbers. */
const BATCHED = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };

let completed = 0;
const runner = await run({
  preset: {
    worker: {
      connectionString: databaseUrl,
      concurrentJobs: concurrency,
      maxPoolSize: 25,
      ...(process.argv[2] === 'batched' ? BATCHED : {}),
    },
  },
  logger: new Logger(() => () => undefined),
  taskList: {
    async [QUEUE](payload) {
      crashPoint('job-taken');
      await post((payload as Body).body);
      completed += 1;
      if (completed === rows) finish();
    },
  },
});
await done;
await runner.stop();
await close();
