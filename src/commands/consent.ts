import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import { describeEstimate, estimate } from '../estimate.ts';
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
  for (const source of manifests) {
    const one = await plan(app.db, source, { ...options, models: config.models });
    plans.push(one);
    io.err(describePlan(one, prices, await lookAhead(app, one, asked)));
  }
  // It will be refused, with its reasons.
  if (options.keepGoing !== true && plans.some(({ invalid }) => invalid > 0)) return new Map();
  const groups = plans.flatMap((one) => one.groups);
  const rows = groups.reduce((sum, group) => sum + group.toSend, 0);
  if (rows > 0) {
    const what = rows === 1 ? '1 row' : `${count(rows)} rows`;
    await confirm(io, `Send ${what}, which cost ${describeEstimate(estimate(prices, groups))}?`);
  }
  return new Map(plans.map((one, n) => [manifests[n] ?? '', one.digest ?? '']));
}
