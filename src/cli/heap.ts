import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * For commands that stream a manifest or a ledger: the heap follows what is alive instead of growing into whatever a
 * long run leaves behind for later. Measured, `submit` of 20,000 and of 200,000 rows: 218 and 373 MB resident without
 * it, 162 and 165 MB with it, for about a fifth more time.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--heap-growing-percent=30');
  setFlagsFromString('--semi-space-growth-factor=1');
  // Until its first full collection, the heap grows up to a limit that the size of the machine sets, not what is alive.
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
