import type { LedgerApp } from '../worker/app.ts';
import { describeRest, fitOf } from '../batch/allowance.ts';
import type { Allowance } from '../batch/allowance.ts';
import { errorJson } from './error-text.ts';
import { costOfGroup, describeEstimate, estimate, estimateJson } from '../batch/estimate.ts';
import { readSendRate } from '../ledger/batches.ts';
import type { Group } from '../ledger/import/outline.ts';
import { ledgerNow } from '../ledger/send/window.ts';
import { moneyJson, formatMoney } from '../core/money/money.ts';
import { outlook, outlookJson, windowsOf } from '../batch/outlook.ts';
import type { Outlook } from '../batch/outlook.ts';
import { columnsJson, formatColumns } from '../manifest/understanding.ts';
import type { Plan } from '../batch/plan.ts';
import type { Prices } from '../core/money/prices.ts';
import { count } from '../core/format.ts';
import type { Window } from '../core/time/window.ts';

/** For the forecast; what is not said is as the ledger has it. */
export interface Asked {
  perSecond?: number;
  batch?: Window | null;
  offPeak?: Window | null;
}

/** When the rows of a plan would be sent. */
export async function lookAhead(
  app: Pick<LedgerApp, 'db'> | undefined,
  { batchId, groups }: Plan,
  { perSecond, ...windows }: Asked,
): Promise<Outlook> {
  const rowsOf = (offPeak: boolean): number =>
    sum(
      groups.filter((group) => group.offPeak === offPeak),
      'toSend',
    );
  const known = app === undefined ? { batch: null, offPeak: null } : await windowsOf(app.db, batchId);
  const measured = app === undefined || batchId === null ? null : await readSendRate(app.db, batchId);
  return outlook(
    { normal: rowsOf(false), offPeak: rowsOf(true) },
    { ...known, ...windows },
    { now: app === undefined ? Date.now() : await ledgerNow(app.db), perSecond: perSecond ?? measured },
  );
}

function sum(groups: readonly Group[], what: 'fresh' | 'known' | 'changed' | 'toSend'): number {
  return groups.reduce((total, group) => total + group[what], 0);
}

/** `rest`: what its budget leaves; without it, there is none. */
export function describePlan(
  { batch, rows, invalid, groups, columns, refused }: Plan,
  prices: Prices,
  seen: Outlook,
  rest?: Allowance,
): string {
  const parts = (of: readonly Group[]): string[] => [
    `${count(sum(of, 'fresh'))} new`,
    ...(sum(of, 'known') > 0 ? [`${count(sum(of, 'known'))} known`] : []),
    ...(sum(of, 'changed') > 0 ? [`${count(sum(of, 'changed'))} changed`] : []),
  ];
  const head = [
    rows === 1 ? '1 row' : `${count(rows)} rows`,
    ...parts(groups),
    ...(invalid > 0 ? [`${count(invalid)} invalid`] : []),
  ];
  const lines = groups.map((group) => {
    const cost = costOfGroup(prices, group);
    const size = [`${count(group.seconds)} s`, cost === undefined ? 'cost unknown' : formatMoney(cost)];
    const sends = refused === undefined ? [`${count(group.toSend)} to send`] : [];
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
    `  cost: ${describeEstimate(estimate(prices, groups), prices)}`,
    `  forecast: ${forecast[fit]}`,
    ...(rest === undefined ? [] : [`  budget: ${describeRest(rest)}${pays[fit]}`]),
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
