/** The queue that all workers of a ledger share. A `run` has its own queue, so that it works only on its own batches. */
export function queueName(ledgerId: string, batches: readonly number[] | null): string {
  return batches === null ? `vidbatch-${ledgerId}` : `vidbatch-${ledgerId}-run-${batches.join('-')}`;
}

/** Where the schedules are shown. No worker takes jobs from it. */
export function scheduleQueue(ledgerId: string): string {
  return `vidbatch-${ledgerId}-schedule`;
}

/** The batches of a run, by the name of its queue; null: the queue is not of a run. */
export function batchesOfQueue(name: string, ledgerId: string): number[] | null {
  const own = `${queueName(ledgerId, null)}-run-`;
  return name.startsWith(own) ? name.slice(own.length).split('-').map(Number) : null;
}
