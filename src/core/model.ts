/**
 * Off-peak models have their own price, and wait for a window. The ending is a convention of vidbatch: no profile can change
 * it, because the ledger sorts rows by it.
 */
export function isOffPeak(model: string): boolean {
  return model.endsWith('-offpeak');
}
