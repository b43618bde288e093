import { formatKeyApart } from '../core/config.ts';
import type { Config } from '../core/config.ts';
import { fitOf, restOf } from '../batch/allowance.ts';
import { estimate } from '../batch/estimate.ts';
import type { Estimate } from '../batch/estimate.ts';
import type { Group } from '../ledger/import/outline.ts';
import { formatMoney } from '../core/money/money.ts';
import type { Candidate } from '../batch/candidate.ts';
import { planOf } from '../batch/plan.ts';
import type { Plan } from '../batch/plan.ts';
import type { ProduceOptions } from '../batch/producer.ts';
import { count } from '../core/format.ts';
import type { Database } from '../database/database.ts';
import { confirm } from './confirm.ts';
import type { Io } from './io.ts';
import { describePlan, lookAhead } from './plan-text.ts';
import type { Asked } from './plan-text.ts';

/**
 * Shows a person the rows that will be sent and their cost, and asks. It does not ask when nothing can be sent, for
 * example because the budget is used up. Exactly the rows that are staged now are brought in.
 * @throws VidbatchError exit 2 for any answer but yes; and what `submit` would refuse, before anybody is asked.
 */
export async function consent(
  db: Database,
  config: Pick<Config, 'baseUrl' | 'keyApart'>,
  candidates: readonly Candidate[],
  { options, asked }: { options: ProduceOptions; asked: Asked },
  io: Pick<Io, 'interactive' | 'err' | 'stdin'>,
  ask: typeof confirm = confirm,
): Promise<void> {
  const { prices = new Map() } = options;
  const plans: Plan[] = [];
  const payable: Group[] = [];
  let short = false;
  for (const candidate of candidates) {
    const one = await planOf(db, candidate, options);
    plans.push(one);
    const rest = await restOf(db, one, options.budget);
    io.err(describePlan(one, prices, await lookAhead({ db }, one, asked), rest));
    const fit = rest === undefined ? 'all' : fitOf(prices, one.groups, rest);
    if (fit !== 'none') payable.push(...one.groups);
    short ||= fit === 'some';
  }
  const refused = plans.flatMap((one) => one.refused ?? []);
  const [first] = refused.filter(({ code }) => code !== 'INVALID_ROWS' && code !== 'BROKEN_MANIFEST');
  if (first !== undefined) throw first;
  // The producer refuses them, and names each fault.
  if (refused.length > 0) return;
  const rows = payable.reduce((sum, group) => sum + group.toSend, 0);
  if (rows > 0) {
    const apart = formatKeyApart(config);
    const question = questionOf(rows, estimate(prices, payable), short);
    await ask(
      io,
      apart === undefined ? question : `${question} ${apart[0]?.toUpperCase()}${apart.slice(1)}.`,
    );
  }
}

/** `short`: a budget does not pay for all of them. */
export function questionOf(rows: number, { totals, unknown }: Estimate, short: boolean): string {
  const what = rows === 1 ? '1 row' : `${count(rows)} rows`;
  const known = totals.map(formatMoney).join(' and ');
  const limit = short ? ', as far as the budget goes' : '';
  if (unknown === 0) return `Send ${what}, which cost at most ${known}${limit}?`;
  if (known === '') return `Send ${what}, at a cost that is not known?`;
  return `Send ${what}, of which ${count(rows - unknown)} cost at most ${known} and ${count(unknown)} nobody knows how much${limit}?`;
}
