import { transaction, type Database, type Queryable } from '../../database/database.ts';
import { refuseCopied } from '../closed.ts';
import { logEvent, type Batch } from '../batches.ts';
import { readOne } from '../read/query.ts';
import { formatWhy, readPause, type Paused } from './pause.ts';

/** Models whose rows are not sent: in one batch, or in all batches. */
interface ModelPause {
  models: readonly string[];
  /** Undefined: in all batches. */
  batch: Pick<Batch, 'id' | 'name'> | undefined;
}

/** An operator stops new claims of rows of these models. Open calls finish. Rows of other models are still sent. */
export async function pauseModelsBy(
  db: Database,
  who: string,
  { models, batch }: ModelPause,
  why?: string,
): Promise<void> {
  await transaction(db, async (session) => {
    await refuseCopied(session);
    await write(session, batch, (paused) => [...new Set([...paused, ...models])].sort());
    for (const model of models) await logEvent(session, 'pause-model', formatWhy(model, why), batch?.id, who);
  });
}

/** An operator lets rows of these models continue. Returns those that were paused there. */
export async function resumeModelsBy(
  db: Database,
  who: string,
  { models, batch }: ModelPause,
): Promise<string[]> {
  return transaction(db, async (session) => {
    await refuseCopied(session);
    const before = await write(session, batch, (paused) => paused.filter((one) => !models.includes(one)));
    for (const model of models) await logEvent(session, 'resume-model', model, batch?.id, who);
    return models.filter((model) => before.includes(model));
  });
}

/** Replaces the paused models, and returns what they were. The lock keeps a second operator from losing a pause. */
async function write(
  session: Queryable,
  batch: ModelPause['batch'],
  change: (paused: readonly string[]) => readonly string[],
): Promise<readonly string[]> {
  const [place, id] =
    batch === undefined ? ['vidbatch.meta', '$1::bigint is null'] : ['vidbatch.batch', 'id = $1'];
  const { rows } = await session.query<{ paused: string[] }>(
    `select paused_models as paused from ${place} where ${id} for update`,
    [batch?.id ?? null],
  );
  const paused = rows[0]?.paused ?? [];
  await session.query(`update ${place} set paused_models = $2 where ${id}`, [
    batch?.id ?? null,
    change(paused),
  ]);
  return paused;
}

/** A pause of one model, and the pending rows of a batch that it keeps. */
export interface PausedModel extends Paused {
  model: string;
  /** Only in this batch; false: in all batches. */
  inBatch: boolean;
  rows: number;
}

/** The pauses of models that keep pending rows of the batch. */
export async function readPausedModels(db: Queryable, batchId: number): Promise<PausedModel[]> {
  const { rows } = await db.query<{ model: string; inBatch: boolean; rows: number }>(
    `select w.model, p.in_batch as "inBatch", w.rows
       from vidbatch.batch b cross join vidbatch.meta m
      cross join lateral (
        select s.model, count(*)::int as rows from vidbatch.row_state s
         where s.batch_id = b.id and s.state = 'pending' and s.model = any (m.paused_models || b.paused_models)
         group by s.model) w
      cross join lateral (values (m.paused_models, false), (b.paused_models, true)) p(models, in_batch)
      where b.id = $1 and w.model = any (p.models)
      order by w.model, p.in_batch`,
    [batchId],
  );
  const paused: PausedModel[] = [];
  for (const one of rows) {
    const by = await readPause(db, 'pause-model', one.inBatch ? batchId : null, one.model);
    paused.push({ at: null, who: null, why: null, ...by, ...one });
  }
  return paused;
}

/** What is paused in all batches: everything, or models, also those without a row. */
export function readPauses(db: Queryable): Promise<{ everything: boolean; models: string[] }> {
  return readOne(
    db,
    'select paused_at is not null as everything, paused_models as models from vidbatch.meta',
  );
}

/** Those of the models that no row of the ledger has. */
export async function findUnusedModels(db: Queryable, models: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ model: string }>(
    `select m.model from unnest($1::text[]) as m(model)
      where not exists (select from vidbatch.row_state s where s.model = m.model)`,
    [models],
  );
  return rows.map(({ model }) => model);
}
