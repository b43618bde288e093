import { contentHash } from '../../core/identity.ts';
import type { Queryable } from '../../database/database.ts';
import { pageByPage } from '../read/query.ts';
import { EXPLAIN, finding } from './invariant.ts';
import type { Finding, Rule } from './invariant.ts';

/** Rules that SQL cannot check: JSON, and the hash of canonical JSON. */
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
  id: number;
  batch: string;
  key: string;
  input: string;
  request: string | null;
  hash: string | null;
}

/** Rows of one query: a row may have megabytes. */
const PAGE = 200;

/** Reads the texts of every row. One statement writes them together, so a second look would see the same. */
export async function* checkContent(db: Queryable, batchId: number | null): AsyncGenerator<Finding[]> {
  const rows = pageByPage(PAGE, async (after: Content | undefined) => {
    const page = await db.query<Content>(
      `select s.id, b.name as batch, s.row_key as key, s.input, s.request, s.content_hash as hash
         from vidbatch.submission s join vidbatch.batch b on b.id = s.batch_id
        where s.id > $1 and ($2::bigint is null or s.batch_id = $2) order by s.id limit $3`,
      [after?.id ?? 0, batchId, PAGE],
    );
    return page.rows;
  });
  for await (const row of rows) {
    const found = judge(row);
    if (found.length > 0) yield found;
  }
}

function judge({ batch, key, input, request: text, hash }: Content): Finding[] {
  const found: Finding[] = [];
  const tell = (rule: Rule, what: string): void => void found.push(finding(rule, { batch, key, what }));
  if (parse(input) === undefined) tell(CONTENT_RULES.input, 'its input is not JSON');
  if (text === null) return found;
  const request = parse(text);
  if (typeof request !== 'object' || request === null || Array.isArray(request))
    tell(CONTENT_RULES.request, 'its request is not a JSON object');
  else if (hash !== null && hashOf(request) !== hash) {
    tell(CONTENT_RULES.hash, 'its request is not the one of its hash');
  }
  return found;
}

/** Undefined: the JSON has no canonical form. It has a lone surrogate or a number that is too large. */
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
