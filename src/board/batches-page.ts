import { html, NOTHING } from './html.ts';
import type { Html } from './html.ts';
import { batchPath, pace, page, standing } from './page.ts';
import type { BatchStatus, Overview } from './reading.ts';

const REFRESH_S = 5;

/** `/`: every batch, newest first. */
export function batchesPage(
  { batches, page: number, pages }: Overview,
  place: string,
  away: string | undefined,
): string {
  const body =
    batches.length === 0
      ? html`<p>
          No
          batches${number === 1 ? ' yet. `vidbatch submit` or `vidbatch run` brings one' : ' on this page'}.
        </p>`
      : html`${batches.map(card)}`;
  return page(
    'Batches · vidbatch',
    html`<h1>Batches</h1>
      ${away === undefined ? NOTHING : html`<p class="gate" role="status">${away}</p>`}
      ${body}${pager(number, pages)}`,
    {
      place,
      refreshS: REFRESH_S,
    },
  );
}

function card(status: BatchStatus): Html {
  return html`<section class="card">
    <h2><a href="${batchPath(status.batch)}">${status.batch}</a></h2>
    <p class="soft">${pace(status)}</p>
    ${standing(status)}
    <p class="soft">from ${status.source}</p>
  </section>`;
}

function pager(number: number, pages: number): Html {
  const links: Html[] = [];
  if (number > 1) links.push(html`<a href="/?page=${number - 1}">newer</a>`);
  if (number < pages) links.push(html`<a href="/?page=${number + 1}">older</a>`);
  return html`<nav class="pages">${links}</nav>`;
}
