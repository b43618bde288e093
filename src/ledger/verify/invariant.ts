/**
 * What a broken rule means. `risk`: a row may have been paid twice, or a task id may be lost. `broken`: the ledger
 * contradicts itself. `difference`: the provider contradicts the ledger. `note`: the next worker repairs it, or it
 * needs no action.
 */
export type Severity = 'risk' | 'broken' | 'difference' | 'note';

export interface Rule {
  /** Stable, for scripts. */
  name: string;
  holds: string;
  severity: Severity;
  /** What a person can do; `{batch}` and `{key}` are filled in. */
  next: string;
}

/** A rule of the ledger that no constraint of the schema enforces, as a query for the places where it does not hold. */
export interface Invariant extends Rule {
  /**
   * `slice`: a query over the rows `s` of one slice (`IN_SLICE`), so that short queries check a large ledger beside working
   * workers. `whole`: one query without parameters. Its `what` is different for each finding.
   */
  over: 'slice' | 'whole';
  /** Returns `batch_id`, `submission_id`, `attempt_id`, and `what`: one clause that does not change with time. */
  sql: string;
}

/** $1 < id ≤ $2, in the batch $3 (null: in all). Slices leave no gap, also for ids whose row is lost. */
export const IN_SLICE =
  '(s.id > $1::bigint and s.id <= $2::bigint and ($3::bigint is null or s.batch_id = $3))';

/** A person has settled row `s` since attempt `a` was claimed. */
export const RESOLVED = `exists (select from vidbatch.event_log t
                       where t.submission_id = s.id and starts_with(t.event, 'resolve') and t.at >= a.claimed_at)`;

export const EXPLAIN = 'vidbatch explain {batch} {key}';

/** A rule, with SQL for the places where it is broken and for the text of a finding. */
interface Broken extends Omit<Rule, 'next'> {
  next?: string;
  from?: string;
  attempt?: string;
  where: string;
  what: string;
}

/** An invariant over rows `s`. */
export function overRows({
  from = 'vidbatch.submission s',
  attempt,
  where,
  what,
  ...rule
}: Broken): Invariant {
  const sql = `select s.batch_id, s.id as submission_id, ${attempt ?? 'null::uuid'} as attempt_id, ${what} as what
                 from ${from} where ${IN_SLICE} and (${where})`;
  return { next: EXPLAIN, ...rule, over: 'slice', sql };
}

/** An invariant over attempts `a` and their rows `s`. */
export function overAttempts(broken: Broken): Invariant {
  const from = 'vidbatch.attempt a join vidbatch.submission s on s.id = a.submission_id';
  return overRows({ from, attempt: 'a.id', ...broken });
}

/** An invariant over rows `s` and the attempt `a` that decides each of them. */
export function overCurrentAttempts(broken: Broken): Invariant {
  const from =
    'vidbatch.submission s join vidbatch.attempt a on a.id = s.attempt_id and a.submission_id = s.id';
  return overRows({ from, attempt: 'a.id', ...broken });
}

/** An invariant over the whole ledger. `from` may end in a `where`. The finding names `batch` and `row`. */
export function overLedger({
  from,
  batch = 'null::bigint',
  row = 'null::bigint',
  attempt = 'null::uuid',
  what,
  ...rule
}: Omit<Broken, 'where'> & { from: string; batch?: string; row?: string }): Invariant {
  const sql = `select ${batch} as batch_id, ${row} as submission_id, ${attempt} as attempt_id, ${what} as what
                 from ${from}`;
  return { next: EXPLAIN, ...rule, over: 'whole', sql };
}

/** One place where a rule is broken. Batch and key are null where no row is concerned. */
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
