import { refusal, type VidbatchError } from '../core/errors.ts';
import type { Queryable } from '../database/database.ts';
import { logEvent } from './batches.ts';
import { readOne } from './read/query.ts';

/**
 * Why a ledger is closed: it sends nothing until a person reopens it.
 * `incomplete`: rows are being copied into it, and are not all there. No command uses it.
 * `copying`, `copied`: a copy of it was begun, or is complete. That copy may send.
 * `restored`: rows may have been sent since its backup was made.
 */
type ClosedCode = 'incomplete' | 'copying' | 'copied' | 'restored';

export interface Closed {
  code: ClosedCode;
  at: Date;
  /** The other copy, or what this one was made from. */
  note: string;
}

/** Undefined: the ledger is open. */
export async function readClosed(db: Queryable): Promise<Closed | undefined> {
  const closed = await readOne<{ [Key in keyof Closed]: Closed[Key] | null }>(
    db,
    'select closed_code as code, closed_at as at, closed_note as note from vidbatch.meta',
  );
  return closed.code === null ? undefined : (closed as Closed);
}

/** Call it in a transaction. The event log says who closed it. */
export async function closeLedger(
  db: Queryable,
  { code, note }: Omit<Closed, 'at'>,
  who: string,
): Promise<void> {
  await db.query('update vidbatch.meta set closed_code = $1, closed_note = $2, closed_at = now()', [
    code,
    note,
  ]);
  await logEvent(db, `ledger-${code}`, note, undefined, who);
}

/**
 * Call it in a transaction. It waits for a copy that is being made. The event log says who reopened the ledger.
 * `agreed`: what the person was told.
 * @throws VidbatchError exit 3 when the ledger is closed for another reason meanwhile.
 */
export async function reopenLedger(session: Queryable, agreed: Closed, who: string): Promise<void> {
  await session.query('lock table vidbatch.meta in exclusive mode');
  const closed = await readClosed(session);
  if (closed === undefined) return;
  const { code, note } = closed;
  if (code !== agreed.code || note !== agreed.note) throw closedRefusal(closed);
  await session.query('update vidbatch.meta set closed_code = null, closed_note = null, closed_at = null');
  await logEvent(session, 'ledger-reopened', `${code}: ${note}`, undefined, who);
}

/** For the transaction that reads a snapshot: until its end, no person reopens the ledger. Before its first query. */
export const KEEP_CLOSED = 'lock table vidbatch.meta in row share mode';

/** Whether the ledger is closed because it is copied to this place. */
export function isCopiedTo(closed: Closed | undefined, place: string): boolean {
  return (closed?.code === 'copying' || closed?.code === 'copied') && closed.note === place;
}

/** "vidc": an import holds it together with other imports, and the closing of a ledger alone. */
const ADVISORY_LOCK = 0x76696463;

/** For the transaction that closes a ledger for a copy: waits until imports are over, and keeps new ones waiting. */
export async function excludeImports(session: Queryable): Promise<void> {
  await session.query('select pg_advisory_xact_lock($1)', [ADVISORY_LOCK]);
}

/**
 * For a transaction that adds rows: as long as it lasts, the ledger is not closed. A row that came after the copy would
 * never be sent.
 * @throws VidbatchError exit 3 when the ledger is closed.
 */
export async function requireOpen(session: Queryable): Promise<void> {
  await session.query('select pg_advisory_xact_lock_shared($1)', [ADVISORY_LOCK]);
  const closed = await readClosed(session);
  if (closed !== undefined) throw closedRefusal(closed);
}

/**
 * For what an operator decides about rows, in its transaction: a copied ledger would say that it was done, and the copy, which
 * sends, would not know it. Until the end of the transaction, no copy is begun.
 * @throws VidbatchError exit 3 when the ledger has a copy.
 */
export async function refuseCopied(session: Queryable): Promise<void> {
  await session.query('select pg_advisory_xact_lock_shared($1)', [ADVISORY_LOCK]);
  const closed = await readClosed(session);
  if (closed?.code === 'copying' || closed?.code === 'copied') throw closedRefusal(closed);
}

/** What a person is told, and what to do next. */
const WORDS: Record<ClosedCode, { what: (note: string, at: string) => string; hint: string }> = {
  incomplete: {
    what: (note, at) => `is not complete: it is being made from ${note} since ${at}, and no command uses it`,
    hint: 'Run the same `vidbatch ledger copy` or `vidbatch ledger restore` again. What it is made from is still whole.',
  },
  copying: {
    what: (note, at) => `sends nothing: a copy to ${note} was begun at ${at}, and may be complete`,
    hint: 'Run the same `vidbatch ledger copy --to …` again: it completes the copy. Only if that copy is never used: `vidbatch ledger reopen`.',
  },
  copied: {
    what: (note, at) => `sends nothing: it was copied to ${note} at ${at}, and the copy sends now`,
    hint: 'Set DATABASE_URL or VIDBATCH_DATA_DIR to the copy. Only if the copy is never used: `vidbatch ledger reopen`. If both send, rows are paid twice.',
  },
  restored: {
    what: (note, at) =>
      `sends nothing: it was restored at ${at} from ${note}, and rows may have been sent since then`,
    hint: 'Put the journals of every machine that has sent since into its folder journal/, then `vidbatch ledger reopen`. Without them, rows that were sent since would be paid again.',
  },
};

export function formatClosed({ code, note, at }: Closed): string {
  return `the ledger ${WORDS[code].what(note, at.toISOString())}`;
}

export function closedHint({ code }: Closed): string {
  return WORDS[code].hint;
}

/** Exit code 3: nothing was sent. */
export function closedRefusal(closed: Closed): VidbatchError {
  return refusal(`LEDGER_${closed.code.toUpperCase()}`, formatClosed(closed), closedHint(closed));
}
