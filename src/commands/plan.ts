import type { Command } from 'commander';
import { openApp } from '../app.ts';
import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import { EXIT, VidbatchError } from '../errors.ts';
import type { ExitCode } from '../errors.ts';
import { keepHeapSmall } from '../heap.ts';
import { costOfGroup, describeEstimate, estimate, estimateJson } from '../estimate.ts';
import type { Group } from '../ledger/outline.ts';
import { ledgerNow } from '../ledger/window.ts';
import { measuredRate } from '../ledger/batch.ts';
import { outlook, outlookJson, windowsOf } from '../outlook.ts';
import type { Outlook } from '../outlook.ts';
import { moneyJson, told } from '../money.ts';
import { plan } from '../plan.ts';
import type { Plan } from '../plan.ts';
import type { Prices } from '../prices.ts';
import { count } from '../summary.ts';
import type { Window } from '../window.ts';
import { FaultReport } from './fault-report.ts';
import { configOf, flag, globalFlags, listFlag } from './io.ts';
import type { Io } from './io.ts';
import { readFlags, readOptions } from './manifest-flags.ts';
import type { ReadFlags } from './manifest-flags.ts';
import { pricesFlag, pricesOf } from './price-flags.ts';
import type { PriceFlags } from './price-flags.ts';
import { batchWindowFlag, forecastOptions, offPeakFlag, readWindow } from './window-flags.ts';
import type { OffPeakFlags } from './window-flags.ts';

type PlanFlags = ReadFlags & OffPeakFlags & PriceFlags & { batch?: string; window?: string; rate?: string };

export function planCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('plan <manifest...>')
    .description(
      'what submit would do: new, known and changed rows by model and mode, what they cost, and when they would be sent',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch plan jobs/text.csv --prices jobs/prices.example.json
  $ vidbatch plan night.csv --rate 2/s --offpeak-window "23:00-07:00 Asia/Shanghai"`,
    )
    .action(async (manifests: string[], flags: PlanFlags) => exit(await planAll(manifests, flags, io)));
  readFlags(globalFlags(command));
  flag(command, '--batch <name>', 'name of the batch (default: the file without its extension)');
  listFlag(
    command,
    '--rate <rate>',
    'forecast for so many rows, such as 10/s (default: as the last ones went)',
  );
  pricesFlag(offPeakFlag(batchWindowFlag(command)));
}

interface Asked {
  perSecond?: number;
  batch?: Window | null;
  offPeak?: Window | null;
}

async function planAll(manifests: readonly string[], flags: PlanFlags, io: Io): Promise<ExitCode> {
  keepHeapSmall();
  const config = configOf(flags);
  const window = readWindow('--window', flags.window);
  const asked: Asked = { ...forecastOptions(flags), ...(window === undefined ? {} : { batch: window }) };
  const prices = await pricesOf(flags);
  const app = await openLedger(config);
  try {
    let invalid = 0;
    for (const source of manifests) {
      const faults = new FaultReport(io, 20);
      const planned = await plan(app?.db, source, {
        ...readOptions(flags),
        ...(flags.batch === undefined ? {} : { batch: flags.batch }),
        models: config.models,
        stdin: io.stdin,
        onFault: (fault, name) => faults.add(fault, name),
      });
      faults.finish();
      invalid += planned.invalid;
      const seen = await lookAhead(app, planned, asked);
      io.out(
        flags.json === true
          ? JSON.stringify(toJson(source, planned, prices, seen))
          : describe(planned, prices, seen),
      );
    }
    return invalid > 0 ? EXIT.refused : EXIT.ok;
  } finally {
    await app?.close();
  }
}

/** Looking makes no ledger where there is none. */
async function openLedger(config: Config): Promise<App | undefined> {
  try {
    return await openApp(config, 'reader');
  } catch (error) {
    if (error instanceof VidbatchError && error.code === 'NO_LEDGER') return undefined;
    throw error;
  }
}

async function lookAhead(
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

function describe({ batch, rows, invalid, groups }: Plan, prices: Prices, seen: Outlook): string {
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

function toJson(
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
      const { fresh, offPeak: _offPeak, ...told } = group;
      const cost = costOfGroup(prices, group);
      return { ...told, new: fresh, cost: cost === undefined ? null : moneyJson(cost) };
    }),
    cost: estimateJson(estimate(prices, groups)),
    forecast: outlookJson(seen),
  };
}
