/** One guard taken out of the program: what a harness that guards the promise has to notice. */
export interface Mutation {
  /** Below `src`. */
  file: string;
  /** Stands there exactly once. */
  from: string;
  to: string;
  /** What the program does wrong with it. */
  breaks: string;
}

export const MUTATIONS = {
  'claim-without-compare': {
    file: 'ledger/send/claim.ts',
    // With the state before and the task id as the schema's own checks want them.
    from: `set previous = s.state, state = 'submitting', attempt_id = w.attempt_id,
              deadline = now() + $5 * interval '1 millisecond', attempts = s.attempts + 1, updated_at = now()
         from wish w, vidbatch.batch b, vidbatch.provider p, vidbatch.meta m
        where s.id = w.submission_id and b.id = s.batch_id and p.origin = b.origin
          and s.state = 'pending'`,
    to: `set previous = 'pending', state = 'submitting', attempt_id = w.attempt_id, task_id = null,
              deadline = now() + $5 * interval '1 millisecond', attempts = s.attempts + 1, updated_at = now()
         from wish w, vidbatch.batch b, vidbatch.provider p, vidbatch.meta m
        where s.id = w.submission_id and b.id = s.batch_id and p.origin = b.origin
          and s.state in ('pending', 'submitting', 'submitted', 'uncertain')`,
    breaks: 'a row that was sent is claimed again',
  },
  'claim-over-the-budget': {
    file: 'ledger/send/claim.ts',
    from: 'and ${WINDOW_OPEN} and ${AFFORDABLE}',
    to: 'and ${WINDOW_OPEN}',
    breaks: 'a row is claimed that its budget cannot pay for',
  },
  'record-keeps-what-is-refused': {
    file: 'ledger/send/record.ts',
    from: 'sum(case when d.decides then m.held - d.held else 0 end',
    to: 'sum(0',
    breaks: 'what a refused row held of a budget is held for ever',
  },
  'record-forgets-task-id': {
    file: 'ledger/send/record.ts',
    from: `when has_task_id then 'submitted'`,
    to: `when has_task_id and state = 'submitting' then 'submitted'`,
    breaks: 'a late task id does not reach its row',
  },
  'journal-without-answers': {
    file: 'worker/journal/journal.ts',
    from: 'return flushAnswers ? append(line) : appendUnflushed(line);',
    to: 'return Promise.resolve(line).then(() => undefined);',
    breaks: 'an answer that was not recorded yet dies with its worker',
  },
  'journal-without-intents': {
    file: 'worker/journal/keeper.ts',
    from: 'const intended = await journal.intend(claim).then(() => true, failed);',
    to: 'const intended = await Promise.resolve(claim.attemptId !== failed.name);',
    breaks: 'an attempt that left is taken for one that never did',
  },
  'stale-sender-sends': {
    file: 'worker/submit.ts',
    from: 'return Math.max(to.wall - from.wall, to.monotonic - from.monotonic);',
    to: 'return Math.min(0, to.wall - from.wall);',
    breaks: 'a worker that slept past its deadline sends a row that may have been settled meanwhile',
  },
  'uncertain-is-sent-again': {
    file: 'provider/failure.ts',
    from: "return phase === 'connecting' ?",
    to: "return phase !== 'answered' ?",
    breaks: 'a row whose answer was lost is taken for one that was not sent, and sent again',
  },
} as const satisfies Record<string, Mutation>;

export type MutationName = keyof typeof MUTATIONS;
