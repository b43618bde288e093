import type { Queryable } from '../database/database.ts';

/** A profile as the ledger keeps it: of a file the whole text, of a built-in profile (`text` null) the name. */
export interface KeptProfile {
  id: number;
  name: string;
  hash: string;
  text: string | null;
}

const COLUMNS = 'id, name, hash, text';

/** Writes the profile into the ledger, unless it is already there, and returns its number. */
export async function keepProfile(
  db: Queryable,
  { name, hash, text }: Omit<KeptProfile, 'id'>,
): Promise<number> {
  const find = 'select id from vidbatch.profile where name = $1 and hash = $2';
  const known = await db.query<{ id: number }>(find, [name, hash]);
  if (known.rows[0] !== undefined) return known.rows[0].id;
  // Another process may write the same profile at the same time. The upsert waits for it.
  const { rows } = await db.query<{ id: number }>(
    `insert into vidbatch.profile (name, hash, text) values ($1, $2, $3)
     on conflict (name, hash) do update set name = excluded.name returning id`,
    [name, hash, text],
  );
  if (rows[0] === undefined) throw new Error(`profile ${name} vanished while it was kept`);
  return rows[0].id;
}

export async function findProfile(db: Queryable, id: number): Promise<KeptProfile | undefined> {
  const { rows } = await db.query<KeptProfile>(`select ${COLUMNS} from vidbatch.profile where id = $1`, [id]);
  return rows[0];
}

/** The number of the profile of a batch; undefined: there is no such batch. */
export async function findProfileOf(db: Queryable, batchId: number): Promise<number | undefined> {
  const { rows } = await db.query<{ id: number }>(
    'select profile_id as id from vidbatch.batch where id = $1',
    [batchId],
  );
  return rows[0]?.id;
}

/** The numbers of the profiles of these batches. */
export async function findProfilesOf(db: Queryable, batches: readonly number[]): Promise<number[]> {
  const { rows } = await db.query<{ id: number }>(
    'select distinct profile_id as id from vidbatch.batch where id = any($1::bigint[]) order by id',
    [batches],
  );
  return rows.map(({ id }) => id);
}

/** The numbers of all profiles. */
export async function listProfiles(db: Queryable): Promise<number[]> {
  const { rows } = await db.query<{ id: number }>('select id from vidbatch.profile order by id');
  return rows.map(({ id }) => id);
}

/** From now on, the rows of the batch are sent by this profile, and the tasks of its rows are read by it. */
export async function updateProfile(db: Queryable, batchId: number, profileId: number): Promise<void> {
  await db.query('update vidbatch.batch set profile_id = $2 where id = $1', [batchId, profileId]);
}

/** Whether a request for a row of the batch has left, or may have left. */
export async function wasSent(db: Queryable, batchId: number): Promise<boolean> {
  const { rows } = await db.query<{ sent: boolean }>(
    `select exists (
       select from vidbatch.row_state s join vidbatch.attempt a on a.submission_id = s.id
        where s.batch_id = $1 and s.attempts > 0 and (a.outcome is null or a.phase is distinct from 'connecting')
     ) or exists (
       select from vidbatch.unmatched_attempt u join vidbatch.batch b on b.name = u.batch where b.id = $1
     ) as sent`,
    [batchId],
  );
  return rows[0]?.sent === true;
}
