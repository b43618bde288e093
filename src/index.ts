/**
 * vidbatch as a library: what the command line does, for a program. `jobs/library.mts` is this example as a file.
 *
 * @example
 * ```ts
 * import { openApp, produce, readConfig, receipt, startSending, summarise, untilDone } from 'vidbatch';
 *
 * const config = readConfig(); // VIDBATCH_BASE_URL, VIDBATCH_API_KEY, REDIS_URL, DATABASE_URL …
 * const app = await openApp(config, 'worker'); // ledger and queue
 * try {
 *   const { batch } = await produce(app.db, process.argv[2] ?? 'prompts.csv');
 *   const sending = await startSending(app, config, { concurrency: 8 }, { batches: [batch.id] });
 *   try {
 *     await untilDone(app, sending, [batch.id]);
 *   } finally {
 *     await sending.close(); // open calls end first, and their answers are recorded
 *   }
 *   console.log(receipt(await summarise(app.db, batch)));
 * } finally {
 *   await app.close();
 * }
 * ```
 */

// Opening and closing
export { readConfig } from './config.ts';
export type { Config } from './config.ts';
export { openApp } from './app.ts';
export type { App, Role } from './app.ts';

// Manifests and their rows
export { openManifest } from './manifest/manifest.ts';
export type { ManifestOptions } from './manifest/manifest.ts';
export type { Manifest, ManifestEntry, ManifestFormat, RawRow } from './manifest/entry.ts';
export { parseMap } from './manifest/columns.ts';
export { checkRows } from './row.ts';
export type { Row, RowOptions } from './row.ts';
export { readRequest } from './request.ts';
export type { Mode } from './request.ts';
export type { GenerationRequest } from './request/body.ts';
export { formatFault } from './fault.ts';
export type { Fault } from './fault.ts';

// Producing and working
export { produce } from './producer.ts';
export type { ProduceOptions, Produced } from './producer.ts';
export { parseWindow } from './window.ts';
export type { Window } from './window.ts';
export { startSending, untilDone } from './sending.ts';
export type { Sending, SendingOptions, WorkLimits } from './sending.ts';
export type { Verdict } from './submit.ts';
export { startSchedules } from './schedule.ts';
export type { Schedules, SchedulesOptions } from './schedule.ts';
export { nextTicks } from './schedule/tick.ts';
export type { Rhythm } from './schedule/tick.ts';

// The ledger
export { cancel, countStates, findBatch, listBatches, pause, resume } from './ledger/batch.ts';
export { retry } from './ledger/retry.ts';
export type { Batch } from './ledger/batch.ts';
export { findSubmissions, readAttempts, readSubmissions } from './ledger/read.ts';
export type { AttemptView, SubmissionView } from './ledger/read.ts';
export { countChosen, readUnsettled } from './ledger/uncertain.ts';
export type { Choice, Heard, Unsettled } from './ledger/uncertain.ts';
export { resolveAbandon, resolveAccepted, resolveNotSent } from './ledger/resolve.ts';
export type { Said, Seen } from './ledger/resolve.ts';
export { STATES, TRANSITIONS } from './submission.ts';
export type { Counts, State } from './submission.ts';
export { summarise } from './status/overview.ts';
export { exitCodeOf, receipt } from './status/summary.ts';
export type { Gate, Summary } from './status/summary.ts';
export { outlookOf } from './status/outlook.ts';
export type { Outlook } from './status/outlook.ts';
export { reconcile } from './reconcile.ts';
export type { Reconciled, ReconcileOptions } from './reconcile.ts';
export { countTasks, readTasks } from './ledger/task.ts';
export type { TaskView } from './ledger/task.ts';
export { expiryOf } from './task.ts';
export type { TaskCounts, TaskStatus } from './task.ts';
export { exportCsv, exportJsonl } from './export.ts';

// The provider, and its stand-in
export { createProvider } from './provider/client.ts';
export type { ProviderOptions } from './provider/client.ts';
export type { Evidence, Outcome, Provider, TaskReport } from './provider/outcome.ts';
export { startSimulator } from './simulator/server.ts';
export type { Simulator, SimulatorOptions } from './simulator/server.ts';

// Errors
export { EXIT, VidbatchError } from './errors.ts';
export type { ExitCode } from './errors.ts';
