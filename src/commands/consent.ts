import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import { describeRest, exceeds, restOf } from '../allowance.ts';
import { estimate } from '../estimate.ts';
import type { Estimate } from '../estimate.ts';
import { told } from '../money.ts';
import { plan } from '../plan.ts';
import type { Plan } from '../plan.ts';
import type { ProduceOptions } from '../producer.ts';
import { count } from '../summary.ts';
import { confirm } from './confirm.ts';
import type { Io } from './io.ts';
import { describePlan, lookAhead } from './plan-text.ts';
import type { Asked } from './plan-text.ts';

/**
 * Shows a person what is about to be sent and what it costs, and asks. Without a terminal nobody is asked, and when
 * nothing is to be sent. What it returns makes sure that what is sent is what was shown: the manifests' digests.
 * @throws VidbatchError exit 2 for any answer but yes.
 */
export async function consent(
  app: App,
  config: Config,
  manifests: readonly string[],
  { options, asked }: { options: ProduceOptions; asked: Asked },
  io: Io,
): Promise<Map<string, string>> {
  if (!io.interactive || manifests.includes('-')) return new Map();
  const { prices = new Map() } = options;
  const plans: Plan[] = [];
  let short = false;
  for (const source of manifests) {
    const one = await plan(app.db, source, { ...options, models: config.models });
    plans.push(one);
    io.err(describePlan(one, prices, await lookAhead(app, one, asked)));
    const rest = await restOf(app.db, one, options.budget);
    if (rest === undefined) continue;
    const isShort = exceeds(estimate(prices, one.groups), rest);
    io.err(`  budget: ${describeRest(rest)}${isShort ? ', which may not pay for all of these rows' : ''}`);
    short ||= isShort;
  }
  // It will be refused, with its reasons.
  if (options.keepGoing !== true && plans.some(({ invalid }) => invalid > 0)) return new Map();
  const groups = plans.flatMap((one) => one.groups);
  const rows = groups.reduce((sum, group) => sum + group.toSend, 0);
  if (rows > 0) await confirm(io, questionOf(rows, estimate(prices, groups), short));
  return new Map(plans.map((one, n) => [manifests[n] ?? '', one.digest ?? '']));
}

/** `short`: a budget does not pay for all of them. */
export function questionOf(rows: number, { totals, unknown }: Estimate, short: boolean): string {
  const what = rows === 1 ? '1 row' : `${count(rows)} rows`;
  const known = totals.map(told).join(' and ');
  const limit = short ? ', as far as the budget goes' : '';
  if (unknown === 0) return `Send ${what}, which cost at most ${known}${limit}?`;
  if (known === '') return `Send ${what}, at a cost that is not known?`;
  return `Send ${what}, of which ${count(rows - unknown)} cost at most ${known} and ${count(unknown)} nobody knows how much${limit}?`;
}
