import { html, NOTHING, type Html } from '../../core/html.ts';
import { formatCount } from '../../core/units.ts';
import type { RowsPage } from '../row-pages.ts';
import type { PagePlace } from '../row-query.ts';
import type { View } from '../view.ts';

/** Links to the other pages of a list, and where this one is. `path`: that of the page at a place. */
export function pager(view: View, rows: RowsPage, size: number, path: (place: PagePlace) => string): Html {
  const { items, skipped, previous, next } = rows;
  if (previous === null && next === null && items.length === 0) return NOTHING;
  const link = (place: PagePlace, text: string): Html =>
    html`<a href="${view.href(path(place))}">${text}</a>`;
  const links: Html[] = [];
  if (previous !== null) {
    const before = skipped === null ? undefined : Math.max(0, skipped - size);
    links.push(link({}, view.say('first page')));
    // The first page always begins with the first row.
    links.push(link(before === 0 ? {} : { before: previous, skipped: before }, view.say('previous page')));
  }
  if (next !== null) {
    links.push(
      link(
        { after: next, skipped: skipped === null ? undefined : skipped + items.length },
        view.say('next page'),
      ),
    );
    links.push(link({ before: 'end' }, view.say('last page')));
  }
  return html`<nav class="pages" aria-label="${view.say('pages')}">
    <span>${place(view, rows)}</span>
    ${links}
  </nav>`;
}

/** `201–400 of 20,000` */
function place(view: View, { items, skipped, total }: RowsPage): string {
  if (skipped === null)
    return total === null ? '' : view.say('of {total} rows', { total: formatCount(total) });
  const [from, to] = [formatCount(skipped + 1), formatCount(skipped + items.length)];
  return total === null
    ? view.say('rows {from}–{to}', { from, to })
    : // Rows may have been added since they were counted.
      view.say('rows {from}–{to} of {total}', {
        from,
        to,
        total: formatCount(Math.max(total, skipped + items.length)),
      });
}
