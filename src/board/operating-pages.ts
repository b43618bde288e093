import { add, compare, formatMoney, ZERO, type Amount } from '../core/money/money.ts';
import { shorten } from '../core/text.ts';
import { formatCount, formatDistance } from '../core/units.ts';
import type { Cost } from '../ledger/money/costs.ts';
import type { FailureGroup } from '../ledger/read/failures.ts';
import type { FoundRow } from '../ledger/read/find.ts';
import type { SeenWorker } from '../ledger/workers.ts';
import { formatCause, nextSteps } from '../operate/failure-steps.ts';
import { html, NOTHING, type Html } from '../core/html.ts';
import { failureAction } from './acts/buttons.ts';
import { page } from './page.ts';
import { proseOf } from './prose.ts';
import { stateCell, taskCell } from './batch/row-table.ts';
import { table, timeCell, type Column } from './table.ts';
import { batchPath, DOCTOR_PATH, rowPath } from './url.ts';
import type { View } from './view.ts';
import type { Text } from './words/zh.ts';

const batchLink = ({ href }: View, name: string): Html =>
  html`<a href="${href(batchPath(name))}">${name}</a>`;

/** `/workers`: which workers are alive, where, and what they do. */
export function workersPage(view: View, workers: readonly SeenWorker[], now: number): string {
  const { say } = view;
  const alive = workers.some((worker) => worker.alive);
  const columns: Column<SeenWorker>[] = [
    { title: 'worker', of: ({ id }) => id, kind: 'code' },
    { title: 'state', of: (worker) => stateOf(view, worker, now), kind: 'state' },
    { title: 'host', of: ({ host, pid }) => say('{host}, pid {pid}', { host, pid }), kind: 'state' },
    {
      title: 'up',
      // A worker that is gone was up until it was seen last.
      of: ({ alive: lives, startedAt, seenAt }) =>
        view.sentence(formatDistance((lives ? now : seenAt.getTime()) - startedAt.getTime())),
      kind: 'time',
    },
    {
      title: 'open calls',
      of: ({ inFlight, concurrency }) => say('{n} of {all}', { n: inFlight, all: concurrency }),
      kind: 'number',
    },
    { title: 'rows', of: ({ recorded }) => formatCount(recorded), kind: 'number' },
    {
      title: 'rows/s',
      of: ({ perSecond, alive: lives }) => (lives ? perSecond.toFixed(1) : ''),
      kind: 'number',
    },
    { title: 'version', of: ({ version }) => version, kind: 'state' },
    { title: 'provider', of: ({ origin }) => origin },
    { title: 'batches', of: ({ batches }) => batches?.join(', ') ?? say('all') },
  ];
  const body = html`<h1>${say('Workers')}</h1>
    ${alive ? NOTHING : html`<p class="gate">${tellNoWorker(view)} <a href="${view.href(DOCTOR_PATH)}">${say('Checks')}</a></p>`}
    ${workers.length === 0 ? NOTHING : table(view, columns, workers)}`;
  return page(view, say('Workers'), body);
}

function tellNoWorker({ tell }: View): Html {
  return tell('No worker is alive. {command} starts one.', { command: html`<code>vidbatch work</code>` });
}

function stateOf({ say }: View, { alive, silent, draining, seenAt }: SeenWorker, now: number): Html {
  const duration = formatDistance(now - seenAt.getTime());
  if (!alive) return dotted('failed', say('gone, last seen {duration} ago', { duration }));
  if (silent) return dotted('uncertain', say('silent, last seen {duration} ago', { duration }));
  return dotted('submitted', draining ? say('stopping') : say('working'));
}

/** The colour beside the word, for those who look quickly. */
function dotted(colour: string, text: string): Html {
  return html`<span class="dot ${colour}"></span>${text}`;
}

/** `/failures`: rows and tasks that failed, grouped by cause. */
export function failuresPage(
  view: View,
  groups: readonly FailureGroup[],
  { since, now }: { since: string | undefined; now: number },
): string {
  const { say } = view;
  const columns: Column<FailureGroup>[] = [
    { title: 'batch', of: ({ batch }) => batchLink(view, batch) },
    {
      title: 'what',
      of: ({ kind, rows }) =>
        kind === 'task'
          ? view.count(rows, 'failed task')
          : say('{n} {state}', { n: formatCount(rows), state: say(kind) }),
      kind: 'state',
    },
    { title: 'cause', of: (group) => causeCell(group), kind: 'long' },
    { title: 'model', of: ({ model }) => model ?? '', kind: 'state' },
    { title: 'last', of: ({ last }) => timeCell(view, last, now), kind: 'time' },
    { title: 'examples', of: (group) => exampleLinks(view, group) },
    { title: 'what to do', of: (group) => stepsCell(view, group), kind: 'long' },
  ];
  const body = html`<h1>${say('Failures')}</h1>
    ${sinceLinks(view, '/failures', since)}
    ${groups.length === 0 ? html`<p>${say('No row and no task failed.')}</p>` : table(view, columns, groups, { name: 'failures' })}`;
  return page(view, say('Failures'), body);
}

/** What the provider said, and the code under which it is counted. */
function causeCell({ reason, ...group }: FailureGroup): Html {
  const cause = formatCause(group);
  const told = shorten(reason ?? '', 200);
  if (told === '' || told === cause) return html`${cause}`;
  return html`${told}<br /><span class="soft">${cause}</span>`;
}

/** The keys of some of the rows; each leads to its row. */
function exampleLinks({ href }: View, { batch, examples, rows }: FailureGroup): Html {
  const links = examples.map(
    (key, n) =>
      html`${n === 0 ? '' : ', '}<a href="${href(batchPath(batch, { key }))}">${shorten(key, 60)}</a>`,
  );
  return html`${links}${rows > examples.length ? ' …' : ''}`;
}

function stepsCell(view: View, group: FailureGroup): Html {
  return html`${failureAction(view, group)}
  ${nextSteps(group).map(
    ({ what, command }) =>
      html`<div>
        ${view.tell('{what}: {detail}', { what: view.sentence(what), detail: html`<code>${command}</code>` })}
      </div>`,
  )}`;
}

/** `/cost`: what rows cost, by batch and model. */
export function costPage(view: View, costs: readonly Cost[], since: string | undefined): string {
  const { say } = view;
  const columns: Column<Cost>[] = [
    { title: 'batch', of: ({ batch = '' }) => batchLink(view, batch) },
    { title: 'model', of: ({ model }) => model ?? '', kind: 'state' },
    { title: 'rows', of: ({ rows }) => formatCount(rows), kind: 'number' },
    {
      title: 'spent',
      of: (cost) => (isUnknown(cost, 'spent') ? say('the price is not known') : amountIn(cost, cost.spent)),
      kind: 'number',
    },
    { title: 'in flight', of: (cost) => amountIn(cost, cost.inFlight), kind: 'number' },
    {
      title: 'at risk',
      of: (cost) =>
        isUnknown(cost, 'at risk') ? say('the price is not known') : amountIn(cost, cost.atRisk),
      kind: 'number',
    },
    { title: 'billed', of: (cost) => amountIn(cost, cost.billed), kind: 'number' },
  ];
  const body = html`<h1>${say('Cost')}</h1>
    ${sinceLinks(view, '/cost', since)}
    ${
      costs.length === 0
        ? html`<p>${say('Nothing was spent.')}</p>`
        : html`${totals(view, costs)} ${table(view, columns, costs)}
            <p class="soft">
              ${say("At risk: rows that may have been paid, uncertain or given up. Billed: by the provider's bills.")}
            </p>`
    }`;
  return page(view, say('Cost'), body);
}

const SUMS = [
  ['spent', ({ spent }: Cost) => spent],
  ['in flight', ({ inFlight }: Cost) => inFlight],
  ['at risk', ({ atRisk }: Cost) => atRisk],
  ['billed', ({ billed }: Cost) => billed],
] as const;

/** Rows whose price is not known have no currency. Those at risk are counted; the others are in flight or accepted. */
function isUnknown({ currency, rows, atRiskRows }: Cost, name: (typeof SUMS)[number][0]): boolean {
  if (currency !== null) return false;
  return name === 'at risk' ? atRiskRows > 0 : rows > atRiskRows || rows === 0;
}

function unknownRows(costs: readonly Cost[], name: (typeof SUMS)[number][0]): number {
  const some = costs.filter(({ currency }) => currency === null);
  const risky = some.reduce((sum, { atRiskRows }) => sum + atRiskRows, 0);
  if (name === 'at risk') return risky;
  return name === 'spent' ? some.reduce((sum, { rows }) => sum + rows, 0) - risky : 0;
}

/** The sums of the table, each by currency, and the rows that are in none. A sum of nothing is left out, but for what was spent. */
function totals(view: View, costs: readonly Cost[]): Html {
  const { say } = view;
  const byCurrency = Map.groupBy(costs, ({ currency }) => currency);
  const sums = SUMS.map(([name, of]) => {
    const amounts = [...byCurrency].flatMap(([currency, some]) => {
      const amount = some.reduce((sum, cost) => add(sum, of(cost) ?? ZERO), ZERO);
      const isShown = currency !== null && (name === 'spent' || compare(amount, ZERO) !== 0);
      return isShown ? [formatMoney({ amount, currency })] : [];
    });
    const unpriced = unknownRows(costs, name);
    const told = amounts.join(' + ');
    if (unpriced === 0) return { name, told };
    const rows = view.count(unpriced, 'row');
    return {
      name,
      told:
        told === ''
          ? say('an unknown amount for {rows}', { rows })
          : say('{money}, and an unknown amount for {rows}', { money: told, rows }),
    };
  });
  return html`<dl class="totals">
    ${sums.map(({ name, told }) =>
      told === '' && name !== 'spent'
        ? NOTHING
        : html`<div>
            <dt>${say(name)}</dt>
            <dd>${told === '' ? say('not known') : told}</dd>
          </div>`,
    )}
  </dl>`;
}

function amountIn({ currency }: Cost, amount: Amount | null): string {
  if (amount === null || currency === null || compare(amount, ZERO) === 0) return '';
  return formatMoney({ amount, currency });
}

const SPANS: Record<string, Text> = {
  '1h': 'last hour',
  '12h': 'last 12 hours',
  '1d': 'last day',
  '7d': 'last week',
};

function sinceLinks({ say, href }: View, path: string, since: string | undefined): Html {
  const current = html` aria-current="true"`;
  const links = Object.entries(SPANS).map(
    ([span, name]) =>
      html`<a href="${href(`${path}?since=${span}`)}" ${since === span ? current : NOTHING}>${say(name)}</a>`,
  );
  return html`<nav class="pages" aria-label="${say('since')}">
    <a href="${href(path)}" ${since === undefined ? current : NOTHING}>${say('all')}</a>${links}
  </nav>`;
}

/** `/find?q=`: rows of all batches. `more`: there are more rows than these. */
export function findPage(view: View, query: string, rows: readonly FoundRow[], more: boolean): string {
  const { say, href } = view;
  const some = (has: (row: FoundRow) => boolean, column: Column<FoundRow>): Column<FoundRow>[] =>
    rows.some(has) ? [column] : [];
  const columns: Column<FoundRow>[] = [
    { title: 'batch', of: ({ batch }) => batchLink(view, batch), kind: 'code' },
    {
      title: 'key',
      of: ({ id, key }) => html`<a href="${href(rowPath(id))}">${shorten(key, 200)}</a>`,
      kind: 'code',
    },
    {
      title: 'state',
      of: (row) => stateCell(view, { ...row, downloaded: false }),
      kind: 'state',
    },
    { title: 'model', of: ({ model }) => model ?? '', kind: 'state' },
    ...some(({ taskId }) => taskId !== null, { title: 'task id', of: taskCell, kind: 'id' }),
    ...some(({ error, errorCode }) => error !== null || errorCode !== null, {
      title: 'error',
      of: ({ errorCode, error }) => [errorCode, error].filter(Boolean).join(': '),
    }),
    { title: 'prompt', of: ({ prompt }) => prompt ?? '' },
  ];
  const hint = say('There are more rows. Add a word, or one of state: model: batch: error: after: before:');
  const body = html`<h1>${say('Find: {query}', { query: shorten(query, 200) })}</h1>
    ${
      rows.length === 0
        ? html`<p>${say('No row fits.')}</p>
            <p class="soft">
              ${proseOf(say('Search for a part of a key, prompt, task id or error, or narrow it: {example}', { example: '`state:uncertain model:viduq3p-*`' }))}
            </p>`
        : html`<p>
              ${more ? say('The newest {rows}.', { rows: view.count(rows.length, 'row') }) : view.count(rows.length, 'row')}
              ${more ? hint : ''}
            </p>
            ${table(view, columns, rows, { name: 'rows' })}`
    }`;
  return page(view, say('Find'), body);
}
