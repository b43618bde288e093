import {
  formatAllowance,
  fitOf,
  readAllowance,
  costOfGroup,
  formatEstimate,
  estimate,
  estimateJson,
} from '../batch/estimate.ts';
import type { Allowance, Estimate } from '../batch/estimate.ts';
import type { Candidate } from '../batch/candidate.ts';
import { outlookJson, readForecast } from '../batch/outlook.ts';
import type { Asked, Outlook } from '../batch/outlook.ts';
import { planOf } from '../batch/plan.ts';
import type { Plan } from '../batch/plan.ts';
import type { ProduceOptions } from '../batch/producer.ts';
import { formatKeyApart } from '../core/config.ts';
import type { Config } from '../core/config.ts';
import { formatCount } from '../core/units.ts';
import { moneyJson, formatMoney } from '../core/money/money.ts';
import type { Prices } from '../core/money/prices.ts';
import type { Database } from '../database/database.ts';
import type { Group } from '../ledger/import/outline.ts';
import { columnsJson, formatColumns } from '../manifest/columns.ts';
import { errorJson } from './format.ts';
import { confirm } from './io.ts';
import type { Io } from './io.ts';

function sum(groups: readonly Group[], what: 'fresh' | 'known' | 'changed' | 'toSend'): number {
  return groups.reduce((total, group) => total + group[what], 0);
}

/** `rest`: what its budget leaves; without it, there is none. */
export function formatPlan(
  { batch, rows, invalid, groups, columns, refused }: Plan,
  prices: Prices,
  seen: Outlook,
  rest?: Allowance,
): string {
  const parts = (of: readonly Group[]): string[] => [
    `${formatCount(sum(of, 'fresh'))} new`,
    ...(sum(of, 'known') > 0 ? [`${formatCount(sum(of, 'known'))} known`] : []),
    ...(sum(of, 'changed') > 0 ? [`${formatCount(sum(of, 'changed'))} changed`] : []),
  ];
  const head = [
    rows === 1 ? '1 row' : `${formatCount(rows)} rows`,
    ...parts(groups),
    ...(invalid > 0 ? [`${formatCount(invalid)} invalid`] : []),
  ];
  const lines = groups.map((group) => {
    const cost = costOfGroup(prices, group);
    const size = [`${formatCount(group.seconds)} s`, cost === undefined ? 'cost unknown' : formatMoney(cost)];
    const sends = refused === undefined ? [`${formatCount(group.toSend)} to send`] : [];
    const all = [...sends, ...parts([group]), ...(group.toSend > 0 ? size : [])];
    return `  ${group.model} ${group.mode}: ${all.join(' · ')}`;
  });
  const about = [
    `${batch}: ${head.join(' · ')}`,
    ...formatColumns(columns).map((line) => `  ${line}`),
    ...lines,
  ];
  // What it would cost, and when it would be done, is no answer to a manifest that is refused.
  if (refused !== undefined) return [...about, `  refused: nothing is sent [${refused.code}]`].join('\n');
  const fit = rest === undefined || seen.rows === 0 ? 'all' : fitOf(prices, groups, rest);
  const forecast = {
    all: seen.rows === 0 ? 'nothing is to be sent' : seen.told,
    some: `${seen.told}, if the budget paid for all`,
    none: 'nothing is sent under this budget',
  };
  const pays = {
    all: '',
    some: ', which may not pay for all of these rows',
    none: ', which pays for none of these rows',
  };
  return [
    ...about,
    `  cost: ${formatEstimate(estimate(prices, groups), prices)}`,
    `  forecast: ${forecast[fit]}`,
    ...(rest === undefined ? [] : [`  budget: ${formatAllowance(rest)}${pays[fit]}`]),
  ].join('\n');
}

export function planJson(
  source: string,
  { batch, rows, invalid, groups, columns, refused }: Plan,
  prices: Prices,
  seen: Outlook,
): Record<string, unknown> {
  return {
    batch,
    source,
    rows,
    new: sum(groups, 'fresh'),
    known: sum(groups, 'known'),
    changed: sum(groups, 'changed'),
    invalid,
    ...columnsJson(columns),
    toSend: refused === undefined ? sum(groups, 'toSend') : 0,
    refused: refused === undefined ? null : errorJson(refused),
    groups: groups.map((group) => {
      const {
        fresh,
        offPeak: _offPeak,
        stored: _stored,
        least: _least,
        shortest: _shortest,
        ...told
      } = group;
      const cost = costOfGroup(prices, group);
      return { ...told, new: fresh, cost: cost === undefined ? null : moneyJson(cost) };
    }),
    cost: estimateJson(estimate(prices, groups)),
    forecast: outlookJson(seen),
  };
}

/**
 * Shows a person the rows that will be sent and their cost, and asks. It does not ask when nothing can be sent, for
 * example because the budget is used up. Exactly the rows that are staged now are brought in.
 * @throws VidbatchError exit 2 for any answer but yes; and what `submit` would refuse, before anybody is asked.
 */
export async function confirmPlan(
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
    const rest = await readAllowance(db, one, options.budget);
    io.err(formatPlan(one, prices, await readForecast(db, one, asked), rest));
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
  const what = rows === 1 ? '1 row' : `${formatCount(rows)} rows`;
  const known = totals.map(formatMoney).join(' and ');
  const limit = short ? ', as far as the budget goes' : '';
  if (unknown === 0) return `Send ${what}, which cost at most ${known}${limit}?`;
  if (known === '') return `Send ${what}, at a cost that is not known?`;
  return `Send ${what}, of which ${formatCount(rows - unknown)} cost at most ${known} and ${formatCount(unknown)} nobody knows how much${limit}?`;
}
