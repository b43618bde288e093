import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable } from '../../database/database.ts';
import { INVARIANTS, checkSlice, checkWhole, readSlices } from '../../ledger/verify/walk.ts';
import { checkContent } from '../../ledger/verify/content.ts';
import type { Finding } from '../../ledger/verify/invariant.ts';

/** What one look at one part found, and how to look again. Without `again` the part does not change by itself. */
export interface Look {
  found: readonly Finding[];
  again?: () => Promise<readonly Finding[]>;
}

/** Workers write meanwhile: only what is there at both looks is a finding. */
const BETWEEN_LOOKS_MS = 1_000;
/** At most this many findings wait for one second look. */
const MOST_HELD = 1_000;

/** Yields the findings that are still there at a second look, a moment later. `MOST_HELD` bounds the memory. */
export async function* confirmed(
  looks: AsyncIterable<Look>,
  pause: () => Promise<unknown> = () => sleep(BETWEEN_LOOKS_MS),
): AsyncGenerator<Finding> {
  let held: Look[] = [];
  let suspicions = 0;
  for await (const look of looks) {
    if (look.found.length === 0) continue;
    if (look.again === undefined) yield* look.found;
    else {
      held.push(look);
      suspicions += look.found.length;
    }
    if (suspicions < MOST_HELD) continue;
    yield* secondLook(held, pause);
    held = [];
    suspicions = 0;
  }
  yield* secondLook(held, pause);
}

async function* secondLook(held: readonly Look[], pause: () => Promise<unknown>): AsyncGenerator<Finding> {
  if (held.length === 0) return;
  await pause();
  for (const { found, again } of held) {
    const before = new Set(found.map(identityOf));
    for (const one of (await again?.()) ?? []) if (before.has(identityOf(one))) yield one;
  }
}

function identityOf({ invariant, batch, key, attempt, what }: Finding): string {
  return JSON.stringify([invariant, batch, key, attempt, what]);
}

/**
 * Checks every invariant of the ledger, for one batch or (null) for all, in short queries and constant memory. `onRows` gets
 * the number of rows that were walked.
 */
export async function* ledgerLooks(
  db: Queryable,
  batchId: number | null,
  onRows: (rows: number) => void = () => undefined,
): AsyncGenerator<Look> {
  const [ofSlices, ofWhole] = [
    INVARIANTS.filter(({ over }) => over === 'slice'),
    INVARIANTS.filter(({ over }) => over === 'whole'),
  ];
  let walked = 0;
  for await (const slice of readSlices(db, batchId)) {
    for (const invariant of ofSlices) {
      const look = (): Promise<Finding[]> => checkSlice(db, invariant, slice, batchId);
      yield { found: await look(), again: look };
    }
    walked += slice.rows;
    onRows(walked);
  }
  for (const invariant of ofWhole) {
    for (let after: string | undefined = ''; after !== undefined;) {
      const from: string = after;
      const look = (): Promise<Finding[]> => checkWhole(db, invariant, batchId, { after: from });
      const found: Finding[] = await look();
      yield { found, again: look };
      after = found.at(-1)?.what;
    }
  }
  for await (const found of checkContent(db, batchId)) yield { found };
}
