import type { Queryable } from '../../database/database.ts';
import { FITS, UNKNOWN } from './suspect.ts';

/**
 * Why a task may belong to a row. `request`: the file names the request id of its attempt. `prompt`: the same prompt and
 * model, created during the attempt. `time`: the same model, created during the attempt.
 */
export type Evidence = 'request' | 'prompt' | 'time';

/** A task that an attempt of `owner` may have created, with the best evidence. */
export interface Edge {
  /** A row, or an attempt whose row is lost. */
  owner: string;
  task: string;
  evidence: Evidence;
}

const EVIDENCE = `case when btrim(pair.prompt) = btrim(suspect.prompt) then 'prompt' else 'time' end as evidence`;

/** How many tasks of an owner, and owners of a task, are read. Two are enough to see that there is not only one. */
const ENOUGH = 3;

/** The edges of these owners, and the other edges of their tasks. */
export async function readEdges(
  db: Queryable,
  importId: string,
  owners: readonly string[],
  toleranceMs: number,
): Promise<Edge[]> {
  const { rows: near } = await db.query<Edge>(
    `select owned.owner, edge.task, edge.evidence
       from unnest($3::text[]) as owned(owner)
      cross join lateral (
        (select pair.subject as task, 'request' as evidence
           from vidbatch.suspect
           join vidbatch.paired pair on pair.import_id = suspect.import_id and pair.attempt_id = suspect.attempt_id
          where suspect.import_id = $1 and suspect.owner = owned.owner
            and exists (select from vidbatch.listed line
                         where line.import_id = pair.import_id and line.subject = pair.subject and line.task_id = pair.subject)
          limit ${ENOUGH})
        union all
        (select distinct pair.subject, ${EVIDENCE}
           from vidbatch.suspect
           join vidbatch.paired pair
             on pair.import_id = suspect.import_id and pair.model = suspect.model and ${UNKNOWN} and pair.candidate
            -- The index can use this form.
            and pair.created_from between lower(suspect.during) - $2 * interval '1 ms' - interval '1 s'
                                   and upper(suspect.during) + $2 * interval '1 ms'
            and ${FITS}
          where suspect.import_id = $1 and suspect.owner = owned.owner
          limit ${ENOUGH})
      ) edge`,
    [importId, toleranceMs, owners],
  );
  const only = [...new Set(near.filter(({ evidence }) => evidence !== 'request').map(({ task }) => task))];
  const { rows: back } = await db.query<{ owner: string; task: string; evidence: Evidence }>(
    `select edge.owner, asked.task, edge.evidence
       from unnest($3::text[]) as asked(task)
       join vidbatch.paired pair on pair.import_id = $1 and pair.subject = asked.task
      cross join lateral (
        select distinct suspect.owner, ${EVIDENCE} from vidbatch.suspect
         where suspect.import_id = $1 and ${FITS} limit ${ENOUGH}
      ) edge`,
    [importId, toleranceMs, only],
  );
  const seen = new Set<string>();
  return [...near, ...back].filter((edge) => {
    const key = JSON.stringify(edge);
    return !seen.has(key) && seen.add(key);
  });
}

/** A task of the files that one row may have created. */
export interface CandidateTask {
  task: string;
  evidence: Evidence;
  model: string | null;
  duration: number | null;
  prompt: string | null;
  createdAt: Date | null;
  status: string | null;
  requestId: string | null;
  /** When the attempt was claimed. */
  claimedAt: Date;
  /** How many other rows may have created it. */
  rivals: number;
}

/** The tasks that this owner may have created: the best evidence first, then the nearest in time. */
export async function readCandidates(
  db: Queryable,
  importId: string,
  owner: string,
  toleranceMs: number,
  limit: number,
): Promise<CandidateTask[]> {
  const { rows } = await db.query<CandidateTask>(
    `with fit as (
       select pair.subject, 'request' as evidence, 0 as rank, lower(suspect.during) as claimed_at
         from vidbatch.suspect
         join vidbatch.paired pair on pair.import_id = suspect.import_id and pair.attempt_id = suspect.attempt_id
        where suspect.import_id = $1 and suspect.owner = $3
       union all
       select near.subject, near.evidence, case near.evidence when 'prompt' then 1 else 2 end, near.claimed_at
         from (select pair.subject, ${EVIDENCE}, lower(suspect.during) as claimed_at
                 from vidbatch.suspect
                 join vidbatch.paired pair on pair.import_id = suspect.import_id and ${UNKNOWN} and pair.candidate and ${FITS}
                where suspect.import_id = $1 and suspect.owner = $3) near
     ), best as (
       select distinct on (subject) * from fit order by subject, rank, claimed_at desc
     )
     select pair.subject as task, best.evidence, pair.model, pair.duration, left(pair.prompt, 500) as prompt,
            pair.created_from as "createdAt", line.status, line.request_id as "requestId", best.claimed_at as "claimedAt",
            (select count(distinct suspect.owner)::int from vidbatch.suspect
              where suspect.import_id = $1 and suspect.owner <> $3 and ${UNKNOWN} and ${FITS}) as rivals
       from best
       join vidbatch.paired pair on pair.import_id = $1 and pair.subject = best.subject
       -- A line that only has a request id is no task.
       join lateral (select status, request_id from vidbatch.listed line
                      where line.import_id = $1 and line.subject = pair.subject and line.task_id = pair.subject
                      order by line.status is null, line.position limit 1) line on true
      order by best.rank, abs(extract(epoch from pair.created_from - best.claimed_at)) nulls last, pair.subject limit $4`,
    [importId, toleranceMs, owner, limit],
  );
  return rows;
}
