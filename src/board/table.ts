import { html, NOTHING, type Html } from '../core/html.ts';
import { formatUtc } from '../core/units.ts';
import type { View } from './view.ts';
import type { Text } from './words/zh.ts';

export interface Column<Row> {
  /** The heading. Where a row is a card, the name of the value. */
  title: Text;
  /** Its link sorts by this column. */
  sort?: { href: string; by: 'ascending' | 'descending' | undefined } | undefined;
  of: (row: Row) => Html | string;
  kind?: 'number' | 'code' | 'id' | 'text' | 'long' | 'state' | 'time';
}

/**
 * On a narrow screen, each row is a card. `name`: the class of the table. `label`: of a table that a keyboard can scroll.
 */
export function table<Row>(
  view: View,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  { name, label }: { name?: string; label?: Text } = {},
): Html {
  const region =
    label === undefined ? NOTHING : html` role="region" tabindex="0" aria-label="${view.say(label)}"`;
  return html`<div class="wide" ${region}>
    <table ${name === undefined ? NOTHING : html` class="${name}"`}>
      <thead>
        <tr>
          ${columns.map((column) => heading(view, column))}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${columns.map(
                ({ title, of, kind = 'text' }) =>
                  html`<td class="${kind}" data-name="${view.say(title)}">${of(row)}</td>`,
              )}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function heading<Row>({ say }: View, { title, sort, kind }: Column<Row>): Html {
  const name = kind === 'number' ? html` class="number"` : NOTHING;
  if (sort === undefined) return html`<th scope="col" ${name}>${say(title)}</th>`;
  const { href, by } = sort;
  const mark = by === undefined ? '' : by === 'ascending' ? ' ↑' : ' ↓';
  return html`<th scope="col" ${name} ${by === undefined ? NOTHING : html` aria-sort="${by}"`}>
    <a href="${href}">${say(title)}${mark}</a>
  </th>`;
}

/** How long ago a moment was; the pointer shows the moment. A whole moment is too wide for a column. */
export function timeCell(view: View, at: Date, now: number): Html {
  return html`<time datetime="${at.toISOString()}" title="${formatUtc(at)}">${view.ago(at, now)}</time>`;
}
