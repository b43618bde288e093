import { formatUtc } from '../core/units.ts';
import { html, type Html } from '../core/html.ts';

/** A command between backticks, or a moment of RFC 3339. */
const MARKED = /(`[^`\n]+`|\b\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)(?![\w+-]))/;

/** A sentence as markup: its commands stand out, and its moments read like all others of the page. */
export function proseOf(text: string): Html {
  return html`${text.split(MARKED).map((piece, n) => (n % 2 === 0 ? html`${piece}` : markedOf(piece)))}`;
}

function markedOf(piece: string): Html {
  return piece.startsWith('`') ? html`<code>${piece.slice(1, -1)}</code>` : timeOf(new Date(piece), piece);
}

function timeOf(moment: Date, piece: string): Html {
  if (Number.isNaN(moment.getTime())) return html`${piece}`;
  return html`<time datetime="${moment.toISOString()}">${formatUtc(moment)}</time>`;
}
