import type { State } from '../../core/submission.ts';
import type { Queryable } from '../../database/database.ts';

/** What the board says of a row beside its job. Names are cut: a key may be as long as a manifest likes. */
export interface Glance {
  id: number;
  batch: string;
  key: string;
  line: number;
  state: State;
  model: string | null;
  mode: string | null;
  taskId: string | null;
  providerStatus: string | null;
  errorCode: string | null;
  queued: boolean;
  deadline: Date | null;
}

/** These rows, by their number; those that the ledger does not have are not in it. Never reads a request. */
export async function glanceAt(db: Queryable, ids: readonly number[]): Promise<Map<number, Glance>> {
  const { rows } = await db.query<{
    id: number;
    batch: string;
    row_key: string;
    line: number;
    state: State;
    model: string | null;
    mode: string | null;
    task_id: string | null;
    provider_status: string | null;
    error_code: string | null;
    queued: boolean;
    deadline: Date | null;
  }>(
    `select s.id, left(b.name, 200) as batch, left(s.row_key, 200) as row_key, s.line, s.state, s.model, s.mode, s.task_id,
            s.provider_status, s.error_code, s.lane is not null as queued, s.deadline
       from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
      where s.id = any($1::bigint[])`,
    [ids],
  );
  return new Map(
    rows.map((row) => [
      row.id,
      {
        id: row.id,
        batch: row.batch,
        key: row.row_key,
        line: row.line,
        state: row.state,
        model: row.model,
        mode: row.mode,
        taskId: row.task_id,
        providerStatus: row.provider_status,
        errorCode: row.error_code,
        queued: row.queued,
        deadline: row.deadline,
      },
    ]),
  );
}
