import type { App } from '../app.ts';
import { costOfGroup, describeEstimate, estimate, estimateJson } from '../estimate.ts';
import { measuredRate } from '../ledger/batch.ts';
import type { Group } from '../ledger/outline.ts';
import { ledgerNow } from '../ledger/window.ts';
import { moneyJson, told } from '../money.ts';
import { outlook, outlookJson, windowsOf } from '../outlook.ts';
import type { Outlook } from '../outlook.ts';
import type { Plan } from '../plan.ts';
import type { Prices } from '../prices.ts';
import { count } from '../summary.ts';
import type { Window } from '../window.ts';

/** For the forecast; what is not said is as the ledger has it. */
export interface Asked {
  perSecond?: number;
  batch?: Window | null;
  offPeak?: Window | null;
}

/** When the rows of a plan would be sent. */
export async function lookAhead(
  app: App | undefined,
  { batchId, groups }: Plan,
  { perSecond, ...windows }: Asked,
): Promise<Outlook> {
  const rowsOf = (offPeak: boolean): number =>
    sum(
      groups.filter((group) => group.offPeak === offPeak),
      'toSend',
    );
  const known = app === undefined ? { batch: null, offPeak: null } : await windowsOf(app.db, batchId);
  const measured = app === undefined || batchId === null ? null : await measuredRate(app.db, batchId);
  return outlook(
    { normal: rowsOf(false), offPeak: rowsOf(true) },
    { ...known, ...windows },
    { now: app === undefined ? Date.now() : await ledgerNow(app.db), perSecond: perSecond ?? measured },
  );
}

function sum(groups: readonly Group[], what: 'fresh' | 'known' | 'changed' | 'toSend'): number {
  return groups.reduce((total, group) => total + group[what], 0);
}

export function describePlan({ batch, rows, invalid, groups }: Plan, prices: Prices, seen: Outlook): string {
  const parts = (of: readonly Group[]): string[] => [
    `${count(sum(of, 'fresh'))} new`,
    ...(sum(of, 'known') > 0 ? [`${count(sum(of, 'known'))} known`] : []),
    ...(sum(of, 'changed') > 0 ? [`${count(sum(of, 'changed'))} changed`] : []),
  ];
  const head = [
    `${count(rows)} rows`,
    ...parts(groups),
    ...(invalid > 0 ? [`${count(invalid)} invalid`] : []),
  ];
  const lines = groups.map((group) => {
    const cost = costOfGroup(prices, group);
    const size = [`${count(group.seconds)} s`, cost === undefined ? 'cost unknown' : told(cost)];
    const all = [`${count(group.toSend)} to send`, ...parts([group]), ...(group.toSend > 0 ? size : [])];
    return `  ${group.model} ${group.mode}: ${all.join(' · ')}`;
  });
  const forecast = seen.rows === 0 ? 'nothing is to be sent' : seen.told;
  return [
    `${batch}: ${head.join(' · ')}`,
    ...lines,
    `  cost: ${describeEstimate(estimate(prices, groups))}`,
    `  forecast: ${forecast}`,
  ].join('\n');
}

export function planJson(
  source: string,
  { batch, rows, invalid, groups }: Plan,
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
    toSend: sum(groups, 'toSend'),
    groups: groups.map((group) => {
      const { fresh, offPeak: _offPeak, stored: _stored, ...told } = group;
      const cost = costOfGroup(prices, group);
      return { ...told, new: fresh, cost: cost === undefined ? null : moneyJson(cost) };
    }),
    cost: estimateJson(estimate(prices, groups)),
    forecast: outlookJson(seen),
  };
}
