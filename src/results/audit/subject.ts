import { parseAmount } from '../../core/money/amount.ts';
import type { Money } from '../../core/money/money.ts';
import type { ChargeRow, LineRow, SubjectRow } from '../../ledger/audit/pairing.ts';
import type { Charge } from './charge.ts';
import type { End, Known, Line, Subject } from './judge.ts';
import type { KindName } from './kind.ts';

/** What was found of one task, or of a line that names none. */
export interface Finding {
  kinds: KindName[];
  /** Its price, where what was billed is not that. */
  expected: Money | null;
  /** Null: the line names no task. */
  subject: Subject | null;
  row: SubjectRow | null;
  lines: readonly LineRow[];
}

/** As `judge` wants it. `batchId`: the batch that was asked about. */
export function subjectOf(row: SubjectRow, batchId: number | null): Subject {
  return {
    known: knownOf(row, batchId),
    orphaned: row.orphaned,
    candidate: row.candidate,
    lines: row.lines.map(lineOf),
    // As one file: the ledger has each entry once.
    earlier: row.earlier.flatMap((charge) => chargeOf(charge, '') ?? []),
  };
}

function knownOf(row: SubjectRow, batchId: number | null): Known | null {
  if (row.state === null || row.at === null) return null;
  return {
    asked: batchId === null || row.batch_id === batchId,
    state: row.state,
    outcome: row.outcome,
    taskId: row.task_id,
    surplus: row.surplus === true,
    model: row.model,
    duration: row.duration,
    status: row.provider_status,
    at: row.at.getTime(),
  };
}

function lineOf(row: LineRow): Line {
  return {
    file: row.file,
    listed: row.listed,
    model: row.model,
    duration: row.duration,
    end: endOf(row.status),
    createdAt: row.created_at === null ? null : Date.parse(row.created_at),
    client: row.client,
    charge: row.fault === null ? chargeOf(row, row.file) : null,
    fault: row.fault,
  };
}

function endOf(status: string | null): End | null {
  return status === 'completed' || status === 'failed' ? status : null;
}

function chargeOf({ entry, amount, currency, billed_at, charge_id }: ChargeRow, file: string): Charge | null {
  const read = amount === null ? undefined : parseAmount(amount);
  if (entry === null || currency === null || read === undefined) return null;
  const billedAt = billed_at === null ? null : Date.parse(billed_at);
  return { entry, amount: read, currency, billedAt, chargeId: charge_id, file };
}
