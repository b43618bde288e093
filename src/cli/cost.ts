import type { Command } from 'commander';
import { EXIT, usageError } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { add, compare, formatMoney, moneyJson, ZERO } from '../core/money/money.ts';
import type { Amount } from '../core/money/money.ts';
import { excerpt } from '../core/text.ts';
import { either, formatCount, plural } from '../core/units.ts';
import { requireBatch } from '../ledger/batches.ts';
import { COST_GROUPS, readCosts } from '../ledger/money/costs.ts';
import type { Cost, CostGroup } from '../ledger/money/costs.ts';
import { parseSince } from '../operate/since.ts';
import { configOf, flag, globalFlags, isOn, listFlag, parseList } from './flags.ts';
import type { GlobalFlags } from './flags.ts';
import type { Io } from './io.ts';
import { withLedger } from './open-ledger.ts';
import { formatTable } from './table.ts';
import { parseZone } from './time-flags.ts';

export function costCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('cost [batch]')
    .description('what rows cost: spent, in flight, at risk and billed, by batch, model or day')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch cost --since yesterday
  $ vidbatch cost --since 2026-11-01 --by day,model --tz Asia/Shanghai
  $ vidbatch cost text --json

Amounts are by the prices that the rows were sent with (--prices). "At risk" is for uncertain rows, which may have been
paid. Billed amounts come from \`reconcile --provider-file\`.`,
    )
    .action(async (batch: string | undefined, flags: CostFlags) => exit(await cost(batch, flags, io)));
  flag(
    command,
    '--since <time>',
    'only calls since then: today, yesterday, 12h, 7d, a date or a time (default: all)',
  );
  listFlag(
    command,
    '--by <group>',
    `${COST_GROUPS.join(', ')}; several are separated by commas (default: batch)`,
  );
  flag(command, '--tz <zone>', 'the zone of days and dates', 'UTC');
  globalFlags(command);
}

interface CostFlags extends GlobalFlags {
  since?: string;
  by?: string;
  tz: string;
}

async function cost(name: string | undefined, flags: CostFlags, io: Io): Promise<ExitCode> {
  const zone = parseZone(flags.tz);
  const since = flags.since === undefined ? null : parseSince('--since', flags.since, zone);
  const by = parseGroups(flags.by);
  return withLedger(configOf(flags), io, async ({ db }) => {
    const batchId = name === undefined ? null : (await requireBatch(db, name)).id;
    const costs = await readCosts(db, { batchId, since, by, zone });
    if (isOn(flags.json))
      io.out(JSON.stringify({ since, by, costs: costs.map(costJson), totals: totals(costs).map(costJson) }));
    else for (const line of formatCosts(costs, by, since)) io.out(line);
    return EXIT.ok;
  });
}

function parseGroups(text: string | undefined): CostGroup[] {
  const given = new Set(text === undefined ? ['batch'] : parseList(text));
  return [...given].map((name) => {
    const group = COST_GROUPS.find((known) => known === name);
    if (group !== undefined) return group;
    throw usageError('BAD_GROUP', `--by: ${excerpt(name)} is not one of ${COST_GROUPS.join(', ')}`);
  });
}

function formatCosts(costs: readonly Cost[], by: readonly CostGroup[], since: Date | null): string[] {
  const from = since === null ? '' : ` since ${since.toISOString()}`;
  if (costs.length === 0) return [`nothing was spent${from}`];
  const all = totals(costs);
  const rows = [
    ...costs.filter(({ currency, billed }) => currency !== null || billed !== null),
    ...(by.length > 0 && costs.length > 1 ? all.filter(({ currency }) => currency !== null) : []),
  ];
  const money = (of: (cost: Cost) => Amount | null) => (cost: Cost) => {
    const amount = of(cost);
    return amount === null || cost.currency === null || (compare(amount, ZERO) === 0 && of !== spent)
      ? ''
      : formatMoney({ amount, currency: cost.currency });
  };
  const spent = (cost: Cost): Amount => cost.spent;
  const names = by.map((group) => ({
    title: group,
    of: (cost: Cost) => (group in cost ? (cost[group] ?? 'unknown') : 'all'),
  }));
  const lines =
    rows.length === 0
      ? []
      : formatTable<Cost>(
          [
            ...names,
            { title: 'rows', right: true, of: ({ rows: n }) => formatCount(n) },
            { title: 'spent', right: true, of: money(spent) },
            { title: 'in flight', right: true, of: money(({ inFlight }) => inFlight) },
            { title: 'at risk', right: true, of: money(({ atRisk }) => atRisk) },
            { title: 'billed', right: true, of: money(({ billed }) => billed) },
          ],
          rows,
        );
  const unpriced = costs.reduce((sum, { currency, rows: n }) => sum + (currency === null ? n : 0), 0);
  const risky = costs.reduce((sum, { atRiskRows }) => sum + atRiskRows, 0);
  return [
    ...lines,
    ...(unpriced > 0
      ? [
          `${plural(unpriced, 'row')}${from} without a known price: submit with --prices FILE to know what the next rows cost`,
        ]
      : []),
    ...(risky > 0
      ? [
          `${plural(risky, 'row')} may have been paid, and ${either(risky, 'is', 'are')} not sent again: \`vidbatch uncertain\` lists them`,
        ]
      : []),
  ];
}

/** One cost a currency. */
function totals(costs: readonly Cost[]): Cost[] {
  const byCurrency = Map.groupBy(costs, ({ currency }) => currency);
  return [...byCurrency].map(([currency, some]) => {
    const sum = (of: (cost: Cost) => Amount): Amount =>
      some.reduce((total, cost) => add(total, of(cost)), ZERO);
    return {
      currency,
      rows: some.reduce((n, { rows }) => n + rows, 0),
      spent: sum(({ spent }) => spent),
      inFlight: sum(({ inFlight }) => inFlight),
      atRisk: sum(({ atRisk }) => atRisk),
      atRiskRows: some.reduce((n, { atRiskRows }) => n + atRiskRows, 0),
      billed: some.every(({ billed }) => billed === null) ? null : sum(({ billed }) => billed ?? ZERO),
    };
  });
}

function costJson({ currency, spent, inFlight, atRisk, billed, ...cost }: Cost): Record<string, unknown> {
  const money = (amount: Amount | null): unknown =>
    amount === null || currency === null ? null : moneyJson({ amount, currency });
  return {
    ...cost,
    currency,
    spent: money(spent),
    inFlight: money(inFlight),
    atRisk: money(atRisk),
    billed: money(billed),
  };
}
