/** Text that is markup already. Any other value is escaped before it goes into a page. */
export class Html {
  readonly markup: string;
  constructor(markup: string) {
    this.markup = markup;
  }
}

export const NOTHING = new Html('');

type Piece = string | number | null | undefined | Html | readonly Html[];

/** A template whose values cannot become markup. Only `Html`, alone or in a list, goes in unescaped. */
export function html(strings: TemplateStringsArray, ...values: readonly Piece[]): Html {
  let markup = strings[0] ?? '';
  for (const [index, value] of values.entries()) markup += render(value) + (strings[index + 1] ?? '');
  return new Html(markup);
}

function render(value: Piece): string {
  if (value === null || value === undefined) return '';
  if (value instanceof Html) return value.markup;
  return typeof value === 'object' ? value.map((one) => one.markup).join('') : escape(String(value));
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For text and for quoted attributes. */
function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
