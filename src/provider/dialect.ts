import { OutcomeTable, type CodeOverrides } from './outcome-table.ts';
import type { Profile } from './profile/schema.ts';
import { RefusalReader } from './refusal.ts';
import { TaskIds } from './task-id.ts';
import { TaskWords } from './task-words.ts';
import { Waits } from './waits.ts';

/** A profile made ready for use: how one kind of provider says things. */
export interface Dialect {
  create: Profile['create'];
  task: Profile['task'];
  taskIds: TaskIds;
  words: TaskWords;
  refusals: RefusalReader;
  outcomes: OutcomeTable;
  waits: Waits;
  /** Headers that may hold the id of a request, in lower case. */
  requestIds: readonly string[];
  /** The header of an answer that repeats an earlier one, in lower case. */
  replayed: string | undefined;
}

/** `codes`: what the configuration lays over the profile. */
export function dialectOf(profile: Profile, codes: CodeOverrides = {}): Dialect {
  const { answers, create, task } = profile;
  return {
    create,
    task,
    taskIds: new TaskIds(create),
    words: new TaskWords(task),
    refusals: new RefusalReader(answers),
    outcomes: new OutcomeTable(profile.outcomes, codes),
    waits: new Waits(answers.waits),
    requestIds: answers.requestId.map((name) => name.toLowerCase()),
    replayed: profile.idempotency?.replayed?.toLowerCase(),
  };
}
