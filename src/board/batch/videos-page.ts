import { html, NOTHING, type Html } from '../../core/html.ts';
import { expiryOf } from '../../core/task-status.ts';
import { shorten } from '../../core/text.ts';
import { formatSize } from '../../core/units.ts';
import { stageOf } from '../../core/video-stage.ts';
import type { ListedRow } from '../../ledger/read/row-list.ts';
import { EXPIRY_KNOWN } from '../../operate/row-life.ts';
import { VIDEOS_A_PAGE, type SeenVideo } from '../page-data.ts';
import { page } from '../page.ts';
import { pager } from './pager.ts';
import type { RowsPage } from '../row-pages.ts';
import type { RowsQuery } from '../row-query.ts';
import { batchPath, rowPath, videosPath } from '../url.ts';
import { stageName } from './video-bar.ts';
import type { View } from '../view.ts';

const FILTERS = ['downloaded', 'not-downloaded', 'rendering', 'failed'] as const;

/** `/batches/<name>/videos`: the rows with a task, each with its video. */
export function videosPage(
  view: View,
  batch: string,
  {
    page: rows,
    seen,
    query,
    now,
  }: { page: RowsPage; seen: Map<number, SeenVideo>; query: RowsQuery; now: number },
): string {
  const all = videosPath(batch);
  const current = html` aria-current="true"`;
  const filters = FILTERS.map(
    (task) =>
      html`<a href="${view.href(videosPath(batch, { task }))}" ${query.task === task ? current : NOTHING}
        >${stageName(view, task === 'not-downloaded' ? 'completed' : task)}</a
      >`,
  );
  const body = html`<h1>${view.say('Videos of {batch}', { batch })}</h1>
    <p><a href="${view.href(batchPath(batch))}">${view.say('All rows of {batch}', { batch })}</a></p>
    <nav class="pages" aria-label="${view.say('filter')}">
      <a href="${view.href(all)}" ${query.task === undefined ? current : NOTHING}
        >${view.say('all videos')}</a
      >
      ${filters}
    </nav>
    ${rows.items.length === 0 ? html`<p>${view.say('No video fits.')}</p>` : NOTHING}
    <ul class="videos">
      ${rows.items.map((row) => html`<li class="card">${videoCard(view, row, seen.get(row.id), now)}</li>`)}
    </ul>
    ${pager(view, rows, VIDEOS_A_PAGE, (place) => videosPath(batch, { task: query.task }, place))}`;
  return page(view, view.say('Videos of {batch}', { batch }), body);
}

function videoCard(view: View, row: ListedRow, seen: SeenVideo | undefined, now: number): Html {
  const stage = stageOf(row);
  const stored = seen?.stored;
  return html`${seen?.here === true ? player(view, row) : html`<div class="frame">${stageName(view, stage)}</div>`}
    <p><a href="${view.href(rowPath(row.id))}">${shorten(row.key, 200)}</a></p>
    <p class="soft"><span class="dot ${stage}"></span>${stageName(view, stage)}</p>
    <p class="prompt">${row.prompt}</p>
    ${
      stored === undefined
        ? linkToProvider(view, row.resultUrl, seen, now)
        : html`<p class="soft">
            ${stored.file} ·
            ${formatSize(stored.bytes)}${
              seen?.here === true ? NOTHING : html` · ${stored.host}:${stored.path}`
            }
          </p>`
    }`;
}

/**
 * The browser fetches nothing until a person plays it. With `preload="metadata"`, Chromium fetched 2.8 GB for the first frames
 * of 24 MP4 files in fragments, and 540 MB when each answer was cut to 1 MB: it asks on until it has what it wants.
 */
export function player(view: View, { id, key }: Pick<ListedRow, 'id' | 'key'>): Html {
  return html`<video
    controls
    preload="none"
    src="${view.href(`${rowPath(id)}/video`)}"
    aria-label="${view.say('video of {key}', { key: shorten(key, 200) })}"
  ></video>`;
}

function linkToProvider(view: View, url: string | null, seen: SeenVideo | undefined, now: number): Html {
  if (url === null) return NOTHING;
  const expiry = seen?.url === undefined ? undefined : expiryOf(seen.url);
  return html`<p class="soft">
    ${resultLink(view, url)} ${expiry === undefined ? NOTHING : lifeOf(view, expiry, now)}
  </p>`;
}

/**
 * The provider chose this text, so it becomes a link only if it is a web address. A page never
 * loads it by itself: it would contact a host that the provider chose, possibly one in the reader's own network.
 */
export function resultLink(view: View, url: string): Html {
  return /^https?:\/\//i.test(url)
    ? html`<a href="${url}" rel="noreferrer noopener">${view.say("open at the provider's address")}</a>`
    : html`${shorten(url, 300)}`;
}

/** How long the URL of a video lives. */
export function lifeOf(view: View, { at, by }: NonNullable<ReturnType<typeof expiryOf>>, now: number): Html {
  const time = view.ago(at, now);
  const known = view.say(EXPIRY_KNOWN[by]);
  return at.getTime() <= now
    ? html`<strong class="dead"
        >${view.say('this address expired {time} ({known})', { time, known })}</strong
      >`
    : html`${view.say('this address expires {time} ({known})', { time, known })}`;
}
