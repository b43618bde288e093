/**
 * vidbatch as a library: what the command line does, for a program. `docs/library.md` is its page, and
 * `jobs/library.mts` is this example as a file.
 *
 * @example
 * ```ts
 * import { open, receipt } from 'vidbatch';
 *
 * await using vidbatch = await open(); // VIDBATCH_BASE_URL, VIDBATCH_API_KEY, REDIS_URL, DATABASE_URL …
 * const status = await vidbatch.run(process.argv[2] ?? 'prompts.csv');
 * console.log(receipt(status));
 * for await (const row of vidbatch.rows(status.batch)) {
 *   if (row.state !== 'submitted') console.error(row.line, row.state, row.error);
 * }
 * ```
 */
import { exportCsv, exportJsonl } from './batch/export.ts';
import { plan, type Plan } from './batch/plan.ts';
import { reopenRows } from './batch/retry.ts';
import { produce, type Produced, type ProduceOptions } from './batch/producer.ts';
import { readConfig, type Config } from './core/config.ts';
import { usageError } from './core/errors.ts';
import { defined } from './core/json.ts';
import { operator } from './core/operator.ts';
import { createLog, type Logger } from './core/log.ts';
import type { Counts, State } from './core/states.ts';
import type { Database } from './database/database.ts';
import { requireBatch, listBatches, type Batch } from './ledger/batches.ts';
import { cancelBy, pauseBy, resumeBy } from './ledger/operator/pause.ts';
import { readInputs, readSubmissions, type SubmissionView } from './ledger/read/rows.ts';
import { countRemade } from './ledger/operator/retry-failed-tasks.ts';
import { openManifest } from './manifest/manifest.ts';
import { checkRows, placed } from './manifest/check-rows.ts';
import type { Fault } from './manifest/entry.ts';
import { summarise, type Summary } from './operate/summary.ts';
import { askerOf } from './provider/asker.ts';
import { rememberedProfiles } from './provider/profile/remembered.ts';
import { createProvider } from './provider/client.ts';
import { profileFor } from './batch/batch-profile.ts';
import { DEFAULT_PROFILE, loadProfile } from './provider/profile/load.ts';
import { POLL_TIMEOUT_MS } from './results/poll/poller.ts';
import { reconcile, type Reconciled } from './results/reconcile.ts';
import { openApp } from './worker/app.ts';
import type { Role } from './worker/judge-ledger.ts';
import { recall } from './worker/recall.ts';
import {
  DEFAULTS,
  startSending,
  untilDone,
  type Sending,
  type SendingOptions,
  type WorkLimits,
} from './worker/sending.ts';
import { resolveRow, type Decision } from './operate/resolve.ts';
import { requireTarget } from './provider/target.ts';

export { receipt } from './operate/summary.ts';
export { EXIT, VidbatchError } from './core/errors.ts';
export { formatFault } from './manifest/entry.ts';
export { readConfig } from './core/config.ts';
export type { Decision, Batch, Config, Fault, Plan, Reconciled };
export type { ExitCode } from './core/errors.ts';
export type { Counts, State };
/** A manifest that was submitted: its batch, and the results of its rows. */
export type Submitted = Produced;
export type SubmitOptions = ProduceOptions;
/** The status of a batch. */ export type Status = Summary;
/** A row of a batch, as `export` and `explain` show it. */
export type Row = SubmissionView;
/** A worker that sends rows until it is closed. */
export type Worker = Sending;

/** How a manifest is read and checked. */
export type ValidateOptions = Pick<
  ProduceOptions,
  | 'format'
  | 'encoding'
  | 'delimiter'
  | 'skipLines'
  | 'sheet'
  | 'wrapped'
  | 'stdin'
  | 'map'
  | 'models'
  | 'profile'
  | 'strict'
  | 'asWritten'
  | 'variants'
  | 'template'
>;

/** The result of checking a manifest. */
export interface Validation {
  rows: number;
  /** Rows that break no rule. A manifest with an invalid row is not submitted, unless `keepGoing` is set. */
  valid: number;
  faults: Fault[];
}

/** Reads and checks a manifest by every rule. It needs no ledger, writes nothing and sends nothing. */
export async function validate(manifest: string, options: ValidateOptions = {}): Promise<Validation> {
  const { profile = DEFAULT_PROFILE, ...read } = options;
  const opened = await openManifest(manifest, read);
  const { rows, faults } = checkRows(opened, { ...read, profile: loadProfile(profile).profile });
  const validation: Validation = { rows: 0, valid: 0, faults: [...faults] };
  for await (const row of rows) {
    validation.rows += 1;
    if (row.request !== undefined) validation.valid += 1;
    validation.faults.push(...placed(row, opened));
  }
  return validation;
}

export interface OpenOptions {
  /** Default: the environment. */
  config?: Config;
  /**
   * `worker`: may send, and holds an embedded ledger alone. `writer`: makes the ledger when it is not there. `reader`: the ledger
   * must be there. Default: `worker`.
   */
  role?: Role;
  /** Name of the person or program that acts, for the event log. Default: the user of this process. */
  who?: string;
  /** Default: warnings and worse, as JSON lines on stderr. */
  log?: Logger;
}

/** Rows in the queue and calls of one worker, and its limits; each has the default of the command line. */
export type WorkOptions = Partial<WorkLimits> & Omit<SendingOptions, 'batches'>;

/** An open ledger and its queue. Close it with `close`, or declare it with `await using`. */
export interface Vidbatch extends AsyncDisposable {
  /** What `submit` would do with a manifest, and what it would refuse. Changes nothing. */
  plan(manifest: string, options?: SubmitOptions): Promise<Plan>;
  /** Brings a manifest into the ledger, all of it or nothing. Rows that the ledger knows are not added again. */
  submit(manifest: string, options?: SubmitOptions): Promise<Submitted>;
  /** Submits a manifest, sends its rows, and waits until none can be sent any more. */
  run(manifest: string, options?: SubmitOptions & WorkOptions): Promise<Status>;
  /** Starts a worker for all batches. It sends until it is closed, or the ledger is. */
  work(options?: WorkOptions): Promise<Worker>;
  /** Every batch, the oldest first. */
  batches(): Promise<Batch[]>;
  /** Where a batch stands. */
  status(batch: string): Promise<Status>;
  /** Every row of a batch, in the order of its manifest. */
  rows(batch: string): AsyncIterable<Row>;
  /** Settles an uncertain row. `not-sent` is refused while an answer may still come. */
  resolve(batch: string, key: string, decision: Decision, reason: string): Promise<State>;
  /** Asks the provider once for each open task of a batch, or of all batches, and stores its answers. */
  reconcile(batch?: string): Promise<Reconciled>;
  /** Rejected, exhausted and cancelled rows become pending again. Returns their number. Sends nothing. */
  retry(batch: string): Promise<number>;
  /** Stops new calls of this batch, or without a name of all batches. Open calls finish. */
  pause(batch?: string): Promise<void>;
  resume(batch?: string): Promise<void>;
  /** Pending rows are cancelled until a `retry`. Returns their number. */
  cancel(batch: string): Promise<number>;
  /** The rows as they were read, joined with what is known about them: lines of CSV or JSON. */
  export(batch: string, format?: 'csv' | 'jsonl'): AsyncIterable<string>;
  /** Closes its workers, whose open calls end first, and then the ledger. Idempotent. */
  close(): Promise<void>;
}

/** Polls that `reconcile` has open at a time. */
const POLLS = 8;

/**
 * Opens ledger and queue as the configuration says.
 * @throws VidbatchError when a server does not answer, or another worker holds the embedded ledger.
 */
export async function open(options: OpenOptions = {}): Promise<Vidbatch> {
  const { config = readConfig(), role = 'worker', who = operator(), log = createLog('warn') } = options;
  const app = await openApp(config, role, log);
  const { db } = app;
  const origin = config.baseUrl;
  const known = { models: config.models, who, ...defined({ origin, profile: config.profile }) };

  const begun: Promise<Worker>[] = [];
  let closing: Promise<void> | undefined;

  /** `batches`: null is all of them. */
  function startWorker(options: WorkOptions, batches: number[] | null): Promise<Worker> {
    const worker = startSending(app, config, options, { log, ...options, batches });
    begun.push(worker);
    return worker;
  }

  /** Workers first: without the ledger, an answer could only wait in their journals. */
  async function closeAll(): Promise<void> {
    try {
      const started = await Promise.allSettled(begun);
      const workers = started.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
      await Promise.all(workers.map((worker) => worker.close()));
    } finally {
      await app.close();
    }
  }

  async function status(name: string): Promise<Status> {
    return summarise(db, await requireBatch(db, name), origin);
  }

  return {
    plan: (manifest, more) => plan(db, manifest, { ...known, ...more }),
    submit: (manifest, more) => produce(db, manifest, { ...known, ...more }),
    async run(manifest, more = {}) {
      requireWorker(role, 'run');
      // An earlier worker's journal may know of rows that were paid.
      await recall(app, config, { maxAttempts: DEFAULTS.maxAttempts, ...more }, log);
      const { batch } = await produce(db, manifest, { ...known, ...more });
      const sending = await startWorker(more, [batch.id]);
      try {
        await untilDone(app, sending, [batch.id]);
      } finally {
        await sending.close();
      }
      return status(batch.name);
    },
    async work(more = {}) {
      requireWorker(role, 'work');
      return startWorker(more, null);
    },
    batches: () => listBatches(db),
    status,
    async *rows(name) {
      yield* readSubmissions(db, (await requireBatch(db, name)).id);
    },
    async resolve(name, key, decision, reason) {
      const { state } = await resolveRow(
        db,
        await requireBatch(db, name),
        key,
        decision,
        { who, reason },
        log,
      );
      return state;
    },
    async reconcile(name) {
      const batchId = name === undefined ? null : (await requireBatch(db, name)).id;
      return reconcileTasks(db, config, batchId, log);
    },
    retry: async (name) => reopenRows(db, await requireBatch(db, name), {}, { who }),
    pause: async (name) => pauseBy(db, who, name === undefined ? undefined : [await requireBatch(db, name)]),
    async resume(name) {
      await resumeBy(db, who, name === undefined ? undefined : [await requireBatch(db, name)]);
    },
    cancel: async (name) => cancelBy(db, who, await requireBatch(db, name)),
    export: (name, format = 'csv') => exportRows(db, name, format),
    close: () => (closing ??= closeAll()),
    [Symbol.asyncDispose]: () => (closing ??= closeAll()),
  };
}

async function reconcileTasks(
  db: Database,
  config: Config,
  batchId: number | null,
  log: Logger,
): Promise<Reconciled> {
  const provider = createProvider({
    ...requireTarget(config),
    codes: config.codes,
    timeoutMs: POLL_TIMEOUT_MS,
    connections: POLLS,
  });
  try {
    const how = { batchId, concurrency: POLLS, log, timeoutMs: POLL_TIMEOUT_MS };
    return await reconcile(db, askerOf(provider, rememberedProfiles(db)), how);
  } finally {
    await provider.close();
  }
}

async function* exportRows(db: Database, name: string, format: 'csv' | 'jsonl'): AsyncGenerator<string> {
  const batch = await requireBatch(db, name);
  const rows = readSubmissions(db, batch.id);
  if (format === 'jsonl') yield* exportJsonl(rows);
  else
    yield* exportCsv(batch, readInputs(db, batch.id), rows, {
      earlier: (await countRemade(db, batch.id)) > 0,
      profile: (await profileFor(db, batch, undefined)).profile,
    });
}

/** Other roles do not check what a worker checks before it sends, and may share an embedded ledger. */
function requireWorker(role: Role, act: 'run' | 'work'): void {
  if (role === 'worker') return;
  throw usageError(
    'NOT_A_WORKER',
    `${act}: the ledger was opened with the role ${role}, which sends nothing`,
    'Open it with the role worker, which is the default.',
  );
}
