import type { Outcome } from '../core/outcome.ts';
import type { PollVerdict } from '../core/poll-plan.ts';
import { excerpt, oneLine } from '../core/text.ts';
import type { Queryable } from '../database/database.ts';
import type { Batch } from '../ledger/batches.ts';
import { readUnread, type Unread } from '../ledger/read/unread.ts';
import type { SendingOptions } from '../worker/sending.ts';

/** An answer that the profile of a batch does not understand, and what to write into the profile. */
export interface UnreadAnswer extends Unread {
  /** In words, with the answer. */
  told: string;
  /** A line for the profile. */
  line: string;
}

/** One answer of each kind that cannot be read. Empty: the profile understands what the provider says. */
export async function readUnreadAnswers(
  db: Queryable,
  { id, profile }: Pick<Batch, 'id' | 'profile'>,
): Promise<UnreadAnswer[]> {
  return (await readUnread(db, id)).map((one) => explainUnread(one, profile));
}

const LONGEST_ANSWER = 300;

export function explainUnread(unread: Unread, profile: string): UnreadAnswer {
  const { what, body } = unread;
  const answer = oneLine(body, LONGEST_ANSWER);
  if (what === 'task-id' && body.trimStart().startsWith('<')) {
    const line = 'create: { path: /… }';
    const told = `the answer ${answer} is a page, not JSON: VIDBATCH_BASE_URL may be wrong, or the path in the profile ${profile}: ${line}`;
    return { ...unread, line, told };
  }
  const line = lineFor(unread);
  const told = `the profile ${profile} ${formatMissing(unread)} in the answer ${answer}; a profile that extends it needs: ${line}`;
  return { ...unread, line, told };
}

function formatMissing({ what, word }: Unread): string {
  const isNamed = word !== null && word !== '';
  if (what === 'status' && isNamed) return `does not know the status ${excerpt(word)} of a task`;
  if (what === 'task-id' && isNamed) return `does not know the code ${excerpt(word)}`;
  return `does not find the ${{ 'task-id': 'task id', task: 'task', status: 'status', video: "video's URL" }[what]}`;
}

/** A person has to find the place, or the meaning. */
const UNKNOWN_PLACE = '…';

function lineFor({ what, word, body }: Unread): string {
  if (what === 'task-id') {
    const place = placeIn(body, isId);
    const taskId = `create: { +taskId: [${place}] }`;
    if (word === null || word === '') return taskId;
    const code = `outcomes: { +codes: [{ code: ${JSON.stringify(word)}, status: 4xx, outcome: ${UNKNOWN_PLACE} }] }`;
    // An id beside a code may be the id of the request.
    return place === UNKNOWN_PLACE ? code : `${code}, or ${taskId} if the row was accepted`;
  }
  if (what === 'task') return `task: { +in: [${UNKNOWN_PLACE}], +status: [${UNKNOWN_PLACE}] }`;
  if (what === 'video') return `task: { +result: [${placeIn(body, isUrl)}] }`;
  if (word === null || word === '') return `task: { +status: [${placeIn(body, isStatus)}] }`;
  return `task: { words: { +completed: [${JSON.stringify(word.trim().toLowerCase())}] } } (or +queued, +in_progress, +failed)`;
}

type Test = (key: string, value: unknown) => boolean;

const isId: Test = (key, value) =>
  !/request|trace|session/i.test(key) &&
  /(^|[_-]|task)(id|key|no|number)$/i.test(key) &&
  (typeof value === 'string' || typeof value === 'number');
const isUrl: Test = (_key, value) => typeof value === 'string' && /^https?:\/\//.test(value);
const isStatus: Test = (key, value) => /status|state|phase/i.test(key) && typeof value === 'string';

/** The first path in the answer whose value has the right form, written as an item of a YAML list. */
function placeIn(body: string, looksRight: Test): string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return UNKNOWN_PLACE;
  }
  const place = find(value, '', looksRight) ?? UNKNOWN_PLACE;
  return /^[\w.]+$|^…$/.test(place) ? place : `'${place.replaceAll("'", "''")}'`;
}

function find(value: unknown, place: string, looksRight: Test): string | undefined {
  if (Array.isArray(value)) return find(value[0], `${place}[]`, looksRight);
  if (typeof value !== 'object' || value === null) {
    const key = place.replaceAll('[]', '').split('.').at(-1) ?? '';
    return looksRight(key, value) ? place : undefined;
  }
  for (const [key, member] of Object.entries(value)) {
    const found = find(member, place === '' ? key : `${place}.${key}`, looksRight);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The listeners of a worker that print, once for each batch, the first answers that its profile does not understand. */
export function unreadTeller(
  db: Queryable,
  batches: readonly Pick<Batch, 'id' | 'name' | 'profile'>[],
  print: (line: string) => void,
): Required<Pick<SendingOptions, 'onVerdict' | 'onPolled'>> {
  const left = new Map(batches.map((batch) => [batch.id, batch]));
  async function look(): Promise<void> {
    for (const batch of left.values()) {
      const [first] = await readUnreadAnswers(db, batch);
      if (first === undefined || !left.delete(batch.id)) continue;
      print(`${batch.name}: ${first.told}`);
    }
  }
  const notice = (isUnread: boolean): void => {
    // The ledger keeps it, and `status` tells it too.
    if (isUnread && left.size > 0) void look().catch(() => undefined);
  };
  return {
    onVerdict: (verdict) => notice(verdict.kind === 'settled' && isWithoutTask(verdict.outcome)),
    onPolled: ({ verdict }) => notice(isWithoutMeaning(verdict)),
  };
}

function isWithoutTask({ kind, evidence: { httpStatus = 0 } }: Outcome): boolean {
  return kind === 'uncertain' && httpStatus >= 200 && httpStatus <= 299;
}

function isWithoutMeaning(verdict: PollVerdict): boolean {
  if (verdict.kind === 'unanswered') return verdict.problem.startsWith('HTTP 2');
  if (verdict.kind !== 'said') return false;
  const { status, resultUrl } = verdict.report;
  return status === 'unknown' || (status === 'completed' && resultUrl === undefined);
}
