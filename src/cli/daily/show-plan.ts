import type { Candidate } from '../../batch/candidate.ts';
import {
  formatAllowance,
  fitOf,
  readAllowance,
  costOfGroup,
  formatEstimate,
  estimate,
  estimateJson,
  type Allowance,
  type Estimate,
} from '../../batch/estimate.ts';
import { outlookJson, readForecast, type Asked, type Outlook } from '../../batch/outlook.ts';
import { planOf, type Plan } from '../../batch/plan.ts';
import type { ProduceOptions } from '../../batch/producer.ts';
import { formatKeyApart, type Config } from '../../core/config.ts';
import { formatMoney, moneyJson } from '../../core/money/money.ts';
import type { Prices } from '../../core/money/prices.ts';
import { either, formatCount, plural } from '../../core/units.ts';
import type { Database } from '../../database/database.ts';
import type { Group } from '../../ledger/import/outline.ts';
import { columnsJson, formatColumns } from '../../manifest/columns.ts';
import { errorJson } from '../output/format.ts';
import { confirm, type Io } from '../output/io.ts';

function sum(groups: readonly Group[], valueOf: (group: Group) => number): number {
  return groups.reduce((total, group) => total + valueOf(group), 0);
}

/** How many rows are new, known and changed. */
function sumsOf(groups: readonly Group[]): { fresh: number; known: number; changed: number; toSend: number } {
  return {
    fresh: sum(groups, ({ fresh }) => fresh),
    known: sum(groups, ({ known }) => known),
    changed: sum(groups, ({ changed }) => changed),
    toSend: sum(groups, ({ toSend }) => toSend),
  };
}

function formatSums(groups: readonly Group[]): string[] {
  const { fresh, known, changed } = sumsOf(groups);
  return [
    `${formatCount(fresh)} new`,
    ...(known > 0 ? [`${formatCount(known)} known`] : []),
    ...(changed > 0 ? [`${formatCount(changed)} changed`] : []),
  ];
}

/** Tells of rows that another batch will send, too. */
export function formatWaits({ rows, batch }: NonNullable<Plan['waitsElsewhere']>): string {
  return `${plural(rows, 'row')} also ${either(rows, 'waits', 'wait')} in another batch, such as ${batch}: both batches send ${either(rows, 'it', 'them')}, and both pay`;
}

/** `rest`: the remaining budget of the batch; undefined: it has no budget. */
export function formatPlan(
  { batch, rows, invalid, groups, columns, refused, waitsElsewhere }: Plan,
  prices: Prices,
  forecast: Outlook,
  rest?: Allowance,
): string {
  const head = [
    plural(rows, 'row'),
    ...formatSums(groups),
    ...(invalid > 0 ? [`${formatCount(invalid)} invalid`] : []),
  ];
  const lines = [
    `${batch}: ${head.join(' · ')}`,
    ...formatColumns(columns).map((line) => `  ${line}`),
    ...groups.map((group) => `  ${formatGroup(group, prices, refused === undefined)}`),
  ];
  // For a refused manifest, cost and time would only distract.
  if (refused !== undefined) return [...lines, `  refused: nothing is sent [${refused.code}]`].join('\n');
  const fit = rest === undefined || forecast.rows === 0 ? 'all' : fitOf(prices, groups, rest);
  const when = {
    all: forecast.rows === 0 ? 'no row is to be sent' : forecast.told,
    some: `${forecast.told}, if the budget paid for all`,
    none: 'nothing is sent under this budget',
  };
  const pays = {
    all: '',
    some: ', which may not pay for all of these rows',
    none: ', which pays for none of these rows',
  };
  lines.push(
    ...(waitsElsewhere === undefined ? [] : [`  ${formatWaits(waitsElsewhere)}`]),
    `  cost: ${formatEstimate(estimate(prices, groups), prices)}`,
    `  forecast: ${when[fit]}`,
    ...(rest === undefined ? [] : [`  budget: ${formatAllowance(rest)}${pays[fit]}`]),
  );
  return lines.join('\n');
}

function formatGroup(group: Group, prices: Prices, isAllowed: boolean): string {
  const cost = costOfGroup(prices, group);
  const parts = [
    ...(isAllowed ? [`${formatCount(group.toSend)} to send`] : []),
    ...formatSums([group]),
    ...(group.toSend === 0
      ? []
      : [
          `${formatCount(group.seconds)} s of video`,
          cost === undefined ? 'cost unknown' : formatMoney(cost),
        ]),
  ];
  return `${group.model} ${group.mode}: ${parts.join(' · ')}`;
}

export function planJson(
  source: string,
  { batch, rows, invalid, groups, columns, refused, waitsElsewhere }: Plan,
  prices: Prices,
  forecast: Outlook,
): Record<string, unknown> {
  const { fresh, known, changed, toSend } = sumsOf(groups);
  return {
    batch,
    source,
    rows,
    new: fresh,
    known,
    changed,
    invalid,
    ...columnsJson(columns),
    toSend: refused === undefined ? toSend : 0,
    refused: refused === undefined ? null : errorJson(refused),
    waitsElsewhere: waitsElsewhere ?? null,
    groups: groups.map((group) => {
      const cost = costOfGroup(prices, group);
      return {
        model: group.model,
        mode: group.mode,
        known: group.known,
        changed: group.changed,
        toSend: group.toSend,
        seconds: group.seconds,
        new: group.fresh,
        cost: cost === undefined ? null : moneyJson(cost),
      };
    }),
    cost: estimateJson(estimate(prices, groups)),
    forecast: outlookJson(forecast),
  };
}

/**
 * Shows a person the rows that will be sent and their cost, and asks. It does not ask when nothing can be sent, for
 * example because the budget is used up. Exactly the rows that are staged now are imported.
 * @throws VidbatchError exit 2 for any answer but yes, and what `submit` would refuse, before it asks.
 */
export async function confirmPlan(
  db: Database,
  config: Pick<Config, 'baseUrl' | 'keyApart'>,
  candidates: readonly Candidate[],
  { options, assumed }: { options: ProduceOptions; assumed: Asked },
  io: Pick<Io, 'interactive' | 'err' | 'stdin'>,
  ask: typeof confirm = confirm,
): Promise<void> {
  const { prices = new Map() } = options;
  const plans: Plan[] = [];
  const payable: Group[] = [];
  let isShort = false;
  for (const candidate of candidates) {
    const one = await planOf(db, candidate, options);
    plans.push(one);
    const rest = await readAllowance(db, one, options.budget);
    io.err(formatPlan(one, prices, await readForecast(db, one, assumed), rest));
    const fit = rest === undefined ? 'all' : fitOf(prices, one.groups, rest);
    if (fit !== 'none') payable.push(...one.groups);
    isShort ||= fit === 'some';
  }
  const refused = plans.flatMap((one) => one.refused ?? []);
  const [first] = refused.filter(({ code }) => code !== 'INVALID_ROWS' && code !== 'BROKEN_MANIFEST');
  if (first !== undefined) throw first;
  // The import refuses invalid rows, and names each fault.
  if (refused.length > 0) return;
  const { toSend } = sumsOf(payable);
  if (toSend === 0) return;
  const question = formatQuestion(toSend, estimate(prices, payable), isShort);
  const apart = formatKeyApart(config);
  await ask(io, apart === undefined ? question : `${question} ${apart[0]?.toUpperCase()}${apart.slice(1)}.`);
}

/** `isShort`: a budget does not pay for all rows. */
export function formatQuestion(rows: number, { totals, unknown }: Estimate, isShort: boolean): string {
  const what = plural(rows, 'row');
  const known = totals.map(formatMoney).join(' and ');
  const limit = isShort ? ', as far as the budget goes' : '';
  if (unknown === 0) return `Send ${what}, which cost at most ${known}${limit}?`;
  if (known === '') return `Send ${what}, at a cost that is not known?`;
  return `Send ${what}, ${formatCount(rows - unknown)} of them for at most ${known} and ${formatCount(unknown)} at unknown cost${limit}?`;
}
