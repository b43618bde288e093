/** One guard taken out of the program: what a harness that guards the promise has to notice. */
export interface Mutation {
  /** Below `src`. */
  file: string;
  /** Stands there exactly once. */
  from: string;
  to: string;
  /** The file whose statements it changes, if that is another one. */
  statements?: string;
  /** What the program does wrong with it. */
  breaks: string;
}

export const MUTATIONS = {
  'claim-without-compare': {
    file: 'ledger/send/claim-parts.ts',
    statements: 'ledger/send/claim.ts',
    // With the state before and the task id as the schema's own checks want them.
    from: `set previous = s.state, state = 'submitting', attempt_id = w.id, called_at = now(),
              deadline = now() + $5 * interval '1 millisecond', attempts = s.attempts + 1, updated_at = now()
         from chosen c join wish w on w.n = c.n join vidbatch.row r on r.id = c.id cross join batch`,
    to: `set previous = 'pending', state = 'submitting', attempt_id = w.id, called_at = now(), task_id = null,
              deadline = now() + $5 * interval '1 millisecond', attempts = s.attempts + 1, updated_at = now()
         from (select id, n, slot_ms, adds from chosen
                union all
               select x.id, (select count(*) from chosen) + row_number() over (order by x.id), null, 0
                 from vidbatch.submission x join batch on batch.id = x.batch_id
                where x.state in ('submitting', 'submitted', 'uncertain')) c
         join wish w on w.n = c.n join vidbatch.row r on r.id = c.id cross join batch`,
    breaks: 'a row that was sent is claimed again',
  },
  'claim-over-the-budget': {
    file: 'ledger/send/claim.ts',
    from: 'where batch.currency is null or p.upto <= batch.money',
    to: 'where p.upto is not distinct from p.upto',
    breaks: 'rows are claimed together that their budget cannot pay for',
  },
  'record-keeps-what-is-refused': {
    file: 'ledger/send/save.ts',
    statements: 'ledger/send/record.ts',
    from: 'sum(m.held - before.held) as adds',
    to: '0 * sum(m.held - before.held) as adds',
    breaks: 'what a refused row held of a budget is held for ever',
  },
  'record-forgets-task-id': {
    file: 'ledger/send/decide/row.ts',
    statements: 'ledger/send/record.ts',
    from: 'if (settling !== undefined) {',
    to: "if (settling?.row.state === 'submitting') {",
    breaks: 'a late task id does not reach its row',
  },
  'record-settles-what-was-edited': {
    file: 'ledger/send/decide/row.ts',
    statements: 'ledger/send/record.ts',
    from: 'if (contentHash === null || contentHash === row.contentHash) return true;',
    to: 'if (contentHash === null || contentHash !== undefined) return true;',
    breaks: 'a row that was edited gets the task of its earlier content',
  },
  'unheard-deciding-only': {
    file: 'ledger/send/journal.ts',
    from: 'join vidbatch.attempt a on a.submission_id = s.id',
    to: 'join vidbatch.row_state d on d.id = s.id join vidbatch.attempt a on a.id = d.attempt_id',
    breaks: 'a replay does not look for the earlier attempts of a row',
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
