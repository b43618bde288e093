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
export { readConfig } from './core/config.ts';
export type { Config } from './core/config.ts';
export { openApp } from './worker/app.ts';
export type { App, Role } from './worker/app.ts';

// Manifests and their rows
export { openManifest } from './manifest/manifest.ts';
export type { ManifestOptions } from './manifest/manifest.ts';
export type { Manifest, ManifestEntry, ManifestFormat, RawRow } from './manifest/entry.ts';
export { parseMap } from './manifest/columns.ts';
export { checkRows } from './manifest/check-rows.ts';
export type { Row, RowOptions } from './manifest/check-rows.ts';
export { readRequest } from './manifest/request/read-request.ts';
export type { Mode } from './manifest/request/read-request.ts';
export type { GenerationRequest } from './manifest/request/fields.ts';
export { formatFault } from './manifest/entry.ts';
export type { Fault } from './manifest/entry.ts';

// Producing and working
export { produce } from './batch/producer.ts';
export type { ProduceOptions, Produced } from './batch/producer.ts';
export { parseWindow } from './core/time/window.ts';
export type { Window } from './core/time/window.ts';
export { startSending, untilDone } from './worker/sending.ts';
export type { Sending, SendingOptions, WorkLimits } from './worker/sending.ts';
export type { Verdict } from './worker/submit.ts';
export { startSchedules } from './schedule/schedule.ts';
export type { Schedules, SchedulesOptions } from './schedule/schedule.ts';
export { nextTicks } from './core/time/cron.ts';
export type { Rhythm } from './core/time/cron.ts';

// The ledger
export { countStates, findBatch, listBatches } from './ledger/batches.ts';
export { cancel, pause, resume } from './ledger/operator/pause.ts';
export { retry } from './ledger/operator/retry.ts';
export type { Batch } from './ledger/batches.ts';
export { findSubmissions, readSubmissions } from './ledger/read/rows.ts';
export { readAttempts } from './ledger/read/row-history.ts';
export type { SubmissionView } from './ledger/read/rows.ts';
export type { AttemptView } from './ledger/read/row-history.ts';
export { countChosen, readUnsettled } from './ledger/read/uncertain.ts';
export type { Choice, Heard, Unsettled } from './ledger/read/uncertain.ts';
export { resolveAbandon, resolveAccepted, resolveNotSent } from './ledger/operator/resolve.ts';
export type { Said, Seen } from './ledger/operator/resolve.ts';
export { STATES, TRANSITIONS } from './core/states.ts';
export type { Counts, State } from './core/states.ts';
export { summarise } from './operate/summary.ts';
export { exitCodeOf, receipt } from './operate/summary.ts';
export type { Gate } from './operate/gates.ts';
export type { Summary } from './operate/summary.ts';
export { outlookOf } from './batch/outlook.ts';
export type { Outlook } from './batch/outlook.ts';
export { reconcile } from './results/reconcile.ts';
export type { Reconciled, ReconcileOptions } from './results/reconcile.ts';
export { countTasks, readTasks } from './ledger/tasks/tasks.ts';
export type { TaskView } from './ledger/tasks/tasks.ts';
export { expiryOf } from './core/task-status.ts';
export type { TaskCounts, TaskStatus } from './core/task-status.ts';
export { exportCsv, exportJsonl } from './batch/export.ts';

// The provider, and its simulator
export { createProvider } from './provider/client.ts';
export type { ProviderOptions } from './provider/client.ts';
export type { Evidence, Outcome, Provider, TaskReport } from './core/outcome.ts';
export { startSimulator } from './simulator/server.ts';
export type { Simulator, SimulatorOptions } from './simulator/server.ts';

// Errors
export { EXIT, VidbatchError } from './core/errors.ts';
export type { ExitCode } from './core/errors.ts';
