import { contentHash } from '../../core/identity.ts';
import type { Queryable } from '../../database/database.ts';
import { EXPLAIN, finding } from './invariant.ts';
import type { Finding, Rule } from './invariant.ts';

/** What SQL cannot say: a hash of canonical JSON. */
export const CONTENT_RULES = {
  input: {
    name: 'input-json',
    holds: 'the row as it was read is kept, as JSON',
    severity: 'broken',
    next: 'submit its manifest again',
  },
  request: {
    name: 'request-json',
    holds: 'what is sent is a JSON object',
    severity: 'broken',
    next: EXPLAIN,
  },
  hash: {
    name: 'content-hash',
    holds: 'the hash of a row is that of its request: what was checked is what is sent',
    severity: 'broken',
    next: EXPLAIN,
  },
} as const satisfies Record<string, Rule>;

interface Content {
  batch: string;
  key: string;
  input: string;
  request: string | null;
  content_hash: string | null;
}

/** A row may be megabytes. */
const PAGE = 200;

/** Reads every row's texts, page by page. Each row is one statement's, so a second look would see the same. */
export async function* contentFindings(db: Queryable, batchId: number | null): AsyncGenerator<Finding[]> {
  for (let after = 0; ;) {
    const { rows } = await db.query<Content & { id: number }>(
      `select s.id, b.name as batch, s.row_key as key, s.input, s.request, s.content_hash
         from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
        where s.id > $1 and ($2::bigint is null or s.batch_id = $2) order by s.id limit $3`,
      [after, batchId, PAGE],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows.flatMap(judge);
    after = last.id;
  }
}

function judge(row: Content): Finding[] {
  const { batch, key } = row;
  const found: Finding[] = [];
  if (parse(row.input) === undefined) {
    found.push(finding(CONTENT_RULES.input, { batch, key, what: 'its input is no JSON' }));
  }
  if (row.request === null) return found;
  const request = parse(row.request);
  if (typeof request !== 'object' || request === null || Array.isArray(request)) {
    found.push(finding(CONTENT_RULES.request, { batch, key, what: 'its request is no JSON object' }));
  } else if (row.content_hash !== null && hashOf(request) !== row.content_hash) {
    found.push(finding(CONTENT_RULES.hash, { batch, key, what: 'its request is not the one of its hash' }));
  }
  return found;
}

/** Undefined for what is JSON and has no canonical form: half a character, a number beyond all measure. */
function hashOf(request: object): string | undefined {
  try {
    return contentHash(request);
  } catch {
    return undefined;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
