import type { Command } from 'commander';
import { EXIT, type ExitCode } from '../../core/errors.ts';
import { add, formatMoney, moneyJson, ZERO, type Amount } from '../../core/money/money.ts';
import { either, formatCount, parseOneOf, plural } from '../../core/units.ts';
import { requireBatch } from '../../ledger/batches.ts';
import { COST_GROUPS, readCosts, type Cost, type CostGroup } from '../../ledger/money/costs.ts';
import { formatPart } from '../../operate/cost.ts';
import { formatTime } from '../output/clock.ts';
import { configOf, globalFlags, isOn, listFlag, parseList, type GlobalFlags } from '../flags/flags.ts';
import type { Io } from '../output/io.ts';
import { withLedger } from '../open-ledger.ts';
import { Styled, type Line } from '../output/style.ts';
import { formatTable } from '../output/table.ts';
import { parseZone, sinceFlags, sinceOf, type SinceFlags } from '../flags/time.ts';

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

Amounts are by the prices that the rows were sent with (--prices). "At risk" is for rows that may have been paid. They are
uncertain, or a person has given them up. Billed amounts come from \`reconcile --provider-file\`.`,
    )
    .action(async (batch: string | undefined, flags: CostFlags) => exit(await cost(batch, flags, io)));
  sinceFlags(command, 'only calls', 'days and dates');
  listFlag(
    command,
    '--by <group>',
    `${COST_GROUPS.join(', ')}; several are separated by commas (default: batch)`,
  );
  globalFlags(command);
}

interface CostFlags extends GlobalFlags, SinceFlags {
  by?: string;
}

async function cost(name: string | undefined, flags: CostFlags, io: Io): Promise<ExitCode> {
  const zone = parseZone(flags.tz);
  const since = sinceOf(flags);
  const by = parseGroups(flags.by);
  return withLedger(configOf(flags), io, async ({ db }) => {
    const batchId = name === undefined ? null : (await requireBatch(db, name)).id;
    const costs = await readCosts(db, { batchId, since, by, zone });
    if (isOn(flags.json))
      io.out(JSON.stringify({ since, by, costs: costs.map(costJson), totals: totals(costs).map(costJson) }));
    else for (const line of formatCosts(costs, by, since, io.width)) io.out(line);
    return EXIT.ok;
  });
}

function parseGroups(text: string | undefined): CostGroup[] {
  const given = new Set(text === undefined ? ['batch'] : parseList(text));
  return [...given].map((name) => parseOneOf('BAD_GROUP', '--by', name, COST_GROUPS));
}

function formatCosts(
  costs: readonly Cost[],
  by: readonly CostGroup[],
  since: Date | null,
  width: number,
): Line[] {
  const from = since === null ? '' : ` since ${formatTime(since)}`;
  if (costs.length === 0) return [`nothing was spent${from}`];
  const all = totals(costs);
  const rows = [
    ...costs.filter(({ currency, billed }) => currency !== null || billed !== null),
    ...(by.length > 0 && costs.length > 1 ? all.filter(({ currency }) => currency !== null) : []),
  ];
  const part = (of: (cost: Cost) => Amount | null) => (cost: Cost) => formatPart(cost, of(cost));
  const names = by.map((group) => ({
    title: group,
    least: 10,
    of: (cost: Cost) => (group in cost ? (cost[group] ?? 'unknown') : 'all'),
  }));
  const lines =
    rows.length === 0
      ? []
      : formatTable<Cost>(
          [
            ...names,
            { title: 'rows', right: true, of: ({ rows: n }) => formatCount(n) },
            { title: 'spent', right: true, of: formatSpent },
            { title: 'in flight', right: true, drop: 1, of: part(({ inFlight }) => inFlight) },
            {
              title: 'at risk',
              right: true,
              of: (cost) => new Styled('warning', formatPart(cost, cost.atRisk)),
            },
            { title: 'billed', right: true, of: part(({ billed }) => billed) },
          ],
          rows,
          width,
        );
  const unpriced = costs.reduce((sum, { currency, rows: n }) => sum + (currency === null ? n : 0), 0);
  const uncertain = costs.reduce((sum, { uncertainRows }) => sum + uncertainRows, 0);
  const settled = costs.reduce((sum, { atRiskRows }) => sum + atRiskRows, 0) - uncertain;
  return [
    ...lines,
    ...(unpriced > 0
      ? [
          `${plural(unpriced, 'row')}${from} without a known price: submit with --prices FILE to know what the next rows cost`,
        ]
      : []),
    ...(uncertain > 0
      ? [
          `${plural(uncertain, 'row')} may have been paid, and ${either(uncertain, 'is', 'are')} not sent again: \`vidbatch uncertain\` lists ${either(uncertain, 'it', 'them')}`,
        ]
      : []),
    ...(settled > 0
      ? [
          `${plural(settled, 'row')} may have been paid: a person gave ${either(settled, 'it', 'them')} up, or an earlier attempt may have been accepted`,
        ]
      : []),
  ];
}

/** Zero is shown, too: it says that nothing was spent. */
function formatSpent({ spent, currency }: Cost): string {
  return currency === null ? '' : formatMoney({ amount: spent, currency });
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
      uncertainRows: some.reduce((n, { uncertainRows }) => n + uncertainRows, 0),
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
