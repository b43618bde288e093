import { html, NOTHING, type Html } from '../core/html.ts';
import { formatMoney } from '../core/money/money.ts';
import { formatUtc } from '../core/units.ts';
import type { Batch } from '../ledger/batches.ts';
import { DISPUTE_KINDS } from '../ledger/read/dispute.ts';
import { DisputeTotals, KIND_TEXTS, type DisputeEntry } from './dispute.ts';
import { factList, htmlDocument } from './document.ts';

/** The entries as one file for the provider's support. */
export function disputePage(
  { name, origin }: Pick<Batch, 'name' | 'origin'>,
  entries: readonly DisputeEntry[],
  now: Date,
): string {
  const totals = new DisputeTotals();
  for (const entry of entries) totals.add(entry);
  const byKind = Map.groupBy(entries, ({ kind }) => kind);
  return htmlDocument(
    `${name} · charges to look at`,
    html`<h1>Charges to look at</h1>
      <p class="soft">
        Made by vidbatch, which sent these requests, at ${formatUtc(now)}. All times are in UTC.
      </p>
      ${factList([
        ['Batch', name],
        ['Provider', origin ?? 'none yet'],
      ])}
      <p><strong>${totals.format()}</strong></p>
      ${DISPUTE_KINDS.map((kind) => {
        const some = byKind.get(kind) ?? [];
        return some.length === 0
          ? NOTHING
          : html`<h2>${KIND_TEXTS[kind].title}</h2>
              <p>${KIND_TEXTS[kind].what}</p>
              ${some.map(formatEntry)}`;
      })}`,
  );
}

function formatEntry(entry: DisputeEntry): Html {
  const { key, taskId, requestId, model, claimedAt, answeredAt, endedAt, httpStatus, amounts, charge } =
    entry;
  const price = amounts.map(formatMoney).join(' + ');
  const facts: [term: string, value: string | Html | null][] = [
    ['row', key],
    ['request id', requestId],
    ['model', model],
    ['sent', claimedAt && formatUtc(claimedAt)],
    ['answered', answeredAt === null ? 'no answer' : formatUtc(answeredAt)],
    ['ended', endedAt && formatUtc(endedAt)],
    ['HTTP status', httpStatus === null ? null : String(httpStatus)],
    ['charge', price === '' ? charge : `${charge}: ${price}`],
    ['problem', entry.problem],
    ['raw answer', entry.answer === null ? null : html`<pre>${entry.answer}</pre>`],
    ['request', entry.request === null ? null : html`<pre>${entry.request}</pre>`],
  ];
  return html`<section class="entry">
    <h3>${taskId === null ? 'no task id' : html`<code>${taskId}</code>`}</h3>
    <dl>
      ${facts.map(([term, value]) =>
        value === null || value === ''
          ? NOTHING
          : html`<dt>${term}</dt>
              <dd>${value}</dd>`,
      )}
    </dl>
  </section>`;
}
