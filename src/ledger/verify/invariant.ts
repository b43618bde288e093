/**
 * How bad it is when it does not hold. `risk`: something may have been paid twice, or a task id may be lost.
 * `broken`: the ledger contradicts itself. `difference`: the provider says otherwise. `note`: worth knowing, and put
 * right by the next worker or by nobody's need.
 */
export type Severity = 'risk' | 'broken' | 'difference' | 'note';

/** Something that is true at every moment. */
export interface Rule {
  /** Stable: scripts may match it. */
  name: string;
  /** What is true, in one sentence. */
  holds: string;
  severity: Severity;
  /** What a person does about it; `{batch}` and `{key}` are filled in. */
  next: string;
}

/** A rule of the ledger, as a query for the places where it does not hold. */
export interface Invariant extends Rule {
  /**
   * `slice`: a query over one slice of submissions `s` (see `IN_SLICE`), so that a large ledger is walked in short
   * queries between those of living workers. `whole`: one query without parameters, whose `what` tells its rows apart.
   */
  over: 'slice' | 'whole';
  /** What breaks it: `batch_id`, `submission_id`, `attempt_id`, and `what`: one clause without a moment in it. */
  sql: string;
}

/** $1 < id ≤ $2, of the batch $3 or of all. Slices follow each other without a gap, for what points to lost rows. */
export const IN_SLICE =
  '(s.id > $1::bigint and s.id <= $2::bigint and ($3::bigint is null or s.batch_id = $3))';

export const EXPLAIN = 'vidbatch explain {batch} {key}';

/** One place where a rule does not hold. Batch and key are null for what belongs to no row. */
export interface Finding {
  invariant: string;
  severity: Severity;
  batch: string | null;
  key: string | null;
  attempt: string | null;
  what: string;
  next: string;
}

export function finding(
  rule: Rule,
  where: Pick<Finding, 'what'> & Partial<Pick<Finding, 'batch' | 'key' | 'attempt' | 'severity' | 'next'>>,
): Finding {
  const { batch = null, key = null, attempt = null, severity = rule.severity, next = rule.next } = where;
  return {
    invariant: rule.name,
    severity,
    batch,
    key,
    attempt,
    what: where.what,
    next: next.replaceAll('{batch}', batch ?? '…').replaceAll('{key}', key ?? '…'),
  };
}
