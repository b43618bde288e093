import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { refusal, type VidbatchError } from '../core/errors.ts';
import { diskError, isThere } from './disk-errors.ts';
import { flush } from './flush.ts';

/**
 * A file in a data folder that waits for a ledger: a copy or a restore has begun there. It stands until the folder holds an
 * incomplete ledger. Without it, a process that dies before that leaves a folder that looks new, and a command would make
 * an empty ledger there, which pays for every row again.
 */
export const INCOMING = 'incoming';

/** Writes the file and flushes it, before anything else is written into the folder. */
export async function expectLedger(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await flush(join(dir, INCOMING), 'w');
    await flush(dir);
  } catch (cause) {
    throw diskError('DATA_DIR', dir, cause);
  }
}

/** The folder holds a ledger now. */
export async function ledgerCame(dir: string): Promise<void> {
  await rm(join(dir, INCOMING), { force: true });
}

export function isExpected(dir: string): boolean {
  return isThere(join(dir, INCOMING));
}

/** Without loading the embedded engine. */
export function databaseOf(dir: string): string {
  return join(dir, 'database');
}

export function holdsLedger(dir: string): boolean {
  return isThere(databaseOf(dir));
}

/** `place`: a data folder, or a database. Exit code 3: nothing was sent. */
export function ledgerExpected(place: string): VidbatchError {
  return refusal(
    'LEDGER_INCOMPLETE',
    `${place}: a ledger was on its way here, and did not arrive`,
    'Run the same `vidbatch ledger copy` or `vidbatch ledger restore` again. A new ledger here would pay for its rows again.',
  );
}
