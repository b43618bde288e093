import type { Attention } from '../operate/attention.ts';
import { batchStanding, formatPace, standingBadge } from './batch/batch-standing.ts';
import type { BatchStatus, Overview } from './page-data.ts';
import { html, NOTHING, type Html } from '../core/html.ts';
import { attentionAction, ledgerActions } from './acts/buttons.ts';
import { page } from './page.ts';
import { proseOf } from './prose.ts';
import { batchPath, videosPath } from './url.ts';
import type { View } from './view.ts';

/** `/`: every batch, newest first. */
export function batchesPage(
  view: View,
  { attention, pauses, batches, page: number, pages }: Overview,
): string {
  const { say } = view;
  const none =
    number === 1
      ? say('No batches yet. `vidbatch submit` or `vidbatch run` adds one.')
      : say('No batches on this page.');
  const body = html`<div class="top">
      <h1>${say('Batches')}</h1>
      ${number === 1 && batches.length > 0 ? ledgerActions(view, pauses) : NOTHING}
    </div>
    <div aria-live="polite">
      ${number === 1 && batches.length + attention.length > 0 ? attentionList(view, attention) : NOTHING}
    </div>
    ${batches.length === 0 ? html`<p>${proseOf(none)}</p>` : batches.map((one) => batchCard(view, one))}
    ${pager(view, number, pages)}`;
  return page(view, say('Batches'), body);
}

function attentionList(view: View, attention: readonly Attention[]): Html {
  const { say, prose } = view;
  if (attention.length === 0) return html`<p class="soft">${say('Nothing needs attention.')}</p>`;
  return html`<section class="card" aria-label="${say('Attention')}">
    <h2>${say('Attention')}</h2>
    <ul class="attention">
      ${attention.map(
        (one) =>
          html`<li class="${one.kind}">
            <p>${prose(one.what)}</p>
            <p class="steps">
              ${attentionLink(view, one)} ${attentionAction(view, one)} <code>${one.command}</code>
            </p>
          </li>`,
      )}
    </ul>
  </section>`;
}

/** The page that shows more of something that needs a person. */
function attentionLink({ say, href }: View, { kind, batch }: Attention): Html {
  const link = (path: string, text: string): Html => html`<a href="${href(path)}">${text}</a>`;
  if (kind === 'paid-twice' || kind === 'uncertain') return link('/uncertain', say('Settle them'));
  if (kind === 'no-worker' || kind === 'silent-worker') return link('/workers', say('Workers'));
  if (kind === 'schedule-failed') return link('/schedules', say('Schedules'));
  if (batch === undefined) return NOTHING;
  return kind === 'urls-die' ? link(videosPath(batch), say('Videos')) : link(batchPath(batch), batch);
}

function batchCard(view: View, status: BatchStatus): Html {
  return html`<section class="card batch">
    <h2><a href="${view.href(batchPath(status.batch))}">${status.batch}</a></h2>
    ${standingBadge(view, status)}
    <p class="soft pace">${formatPace(view, status, Date.now())}</p>
    ${batchStanding(view, status)}
  </section>`;
}

function pager({ say, href }: View, number: number, pages: number): Html {
  const links: Html[] = [];
  if (number > 1) links.push(html`<a href="${href(`/?page=${number - 1}`)}">${say('newer')}</a>`);
  if (number < pages) links.push(html`<a href="${href(`/?page=${number + 1}`)}">${say('older')}</a>`);
  return html`<nav class="pages">${links}</nav>`;
}
