import type { LedgerCondition } from '../../ledger/read/alerts.ts';
import { count, duration } from '../../core/format.ts';
import { ok, warning } from './check.ts';
import type { Check } from './check.ts';

/** What keeps rows from being sent, which rows need a person, and whether a worker runs. */
export function judgeCondition(condition: LedgerCondition): Check[] {
  const gates = judgeGates(condition);
  return [
    ok('ledger-id', condition.ledgerId),
    ...(gates.length > 0 ? gates : [ok('gates', 'nothing is paused, halted or throttled')]),
    judgeUncertain(condition),
    ...judgeSurplus(condition),
    judgeWorkers(condition),
  ];
}

function judgeGates({ paused, pausedBatches, held, halts }: LedgerCondition): Check[] {
  const checks: Check[] = [];
  if (paused) checks.push(warning('gates', 'everything is paused', '`vidbatch resume` goes on.'));
  if (pausedBatches.length > 0) {
    checks.push(
      warning(
        'gates',
        `paused or stopped: ${some(pausedBatches)}`,
        '`vidbatch resume <batch>` goes on with one.',
      ),
    );
  }
  for (const { origin, state, throttledMs, unreached } of held) {
    const halt = halts.find((one) => one.origin === origin);
    const status = halt?.httpStatus === null || halt === undefined ? '' : ` (HTTP ${halt.httpStatus})`;
    const reason = halt === undefined ? '' : `: ${halt.code}${status}: ${halt.reason}`;
    if (state === 'halted') {
      checks.push(
        warning(
          'gates',
          `${origin} is halted${reason}`,
          'Mend it, then `vidbatch resume`, `run` or `work` tries one row; its acceptance lifts the halt.',
        ),
      );
    }
    if (state === 'probing') {
      checks.push(
        warning(
          'gates',
          unreached > 0 && halt === undefined
            ? `no answer from ${origin}: ${count(unreached)} tries in a row`
            : `${origin} is being tried out after a halt${reason}`,
          'Wait: one accepted row lifts it.',
        ),
      );
    }
    if (throttledMs > 0) {
      checks.push(
        warning(
          'gates',
          unreached > 0
            ? `${origin} is tried again in ${duration(throttledMs)}`
            : `${origin} asked to wait for another ${duration(throttledMs)}`,
          'It goes on by itself.',
        ),
      );
    }
  }
  return checks;
}

function judgeUncertain({ uncertain }: LedgerCondition): Check {
  if (uncertain === 0) return ok('uncertain', 'no row is uncertain');
  return warning(
    'uncertain',
    `${rows(uncertain)} uncertain: it is not known whether they were accepted`,
    '`vidbatch uncertain` shows the evidence, `vidbatch resolve` settles them.',
  );
}

function judgeSurplus({ surplus }: LedgerCondition): Check[] {
  if (surplus === 0) return [];
  return [
    warning(
      'surplus',
      `${count(surplus)} task ${surplus === 1 ? 'id' : 'ids'} beyond one a row: paid more than once`,
      '`vidbatch verify` and `vidbatch explain <batch> <key>` show which.',
    ),
  ];
}

function judgeWorkers({ open, fed }: LedgerCondition): Check {
  if (fed > 0) return ok('workers', `${count(fed)} ${fed === 1 ? 'queue is' : 'queues are'} being fed`);
  if (!open) return ok('workers', 'none, and no row is still to be sent');
  return warning('workers', 'rows are still to be sent, and no worker runs', 'Start `vidbatch work`.');
}

function rows(n: number): string {
  return n === 1 ? '1 row is' : `${count(n)} rows are`;
}

function some(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${count(names.length - 3)} more` : shown;
}
