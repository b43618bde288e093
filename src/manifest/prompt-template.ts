import { likely } from '../core/suggestion.ts';
import { columnLabel, typedExcerpt } from '../core/text.ts';
import type { ColumnMap } from './columns.ts';
import { faultAt, type Fault, type RawRow } from './entry.ts';

/** An escaped `{{`, a place with a column, or a `{{` that never ends. */
const PLACE = /\\\{\{|\{\{([^{}]*)\}\}|\{\{/g;

const MOST_NAMES = 20;

export interface Filled {
  raw: RawRow;
  faults: Fault[];
}

/**
 * The row with `{{column}}` in its prompt replaced by the value of that column, as the row has it. `\{{` is a literal `{{`. A
 * value is not searched for further places. `map`: header → field, so that a column may be named as in the file. `used` gets
 * the columns that are sent in this way.
 */
export function fillPrompt(
  raw: RawRow,
  line: number,
  { map, used }: { map: ColumnMap | undefined; used: Set<string> },
): Filled {
  const { prompt } = raw;
  if (typeof prompt !== 'string' || !prompt.includes('{{')) return { raw, faults: [] };
  const faults: Fault[] = [];
  const report = (rule: string, message: string, severity: Fault['severity'] = 'error'): string => {
    faults.push(faultAt(line, rule, message, { column: 'prompt', severity }));
    return '';
  };
  const valueOf = (name: string): string => {
    const place = `{{${columnLabel(name)}}}`;
    const column = [name, map?.get(name)].find((one) => one !== undefined && Object.hasOwn(raw, one));
    const value = column === undefined ? undefined : raw[column];
    if (column === undefined || value === null || value === undefined)
      return report('template-column', `${place}: ${unknownColumn(name, raw)}`);
    if (column === 'prompt') return report('template-column', `${place}: a prompt cannot contain itself`);
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
      return report('template-value', `${place}: ${typedExcerpt(value)} is no text for a prompt`);
    used.add(column);
    const text = String(value);
    if (text.trim() === '') report('template-empty', `${place} is empty in this row`, 'warning');
    return text;
  };
  const filled = prompt.replaceAll(PLACE, (found, name: string | undefined) => {
    if (found.startsWith('\\')) return '{{';
    if (name !== undefined) return valueOf(name.trim());
    return report('template-open', String.raw`has {{ without }}; \{{ writes {{ as it is`);
  });
  return { raw: { ...raw, prompt: filled }, faults };
}

function unknownColumn(name: string, raw: RawRow): string {
  const names = Object.keys(raw).filter((one) => one !== 'prompt' && one.trim() !== '');
  const meant = likely(name, names);
  if (meant !== undefined) return `the row has no such column; did you mean {{${columnLabel(meant)}}}?`;
  const shown = names.slice(0, MOST_NAMES).map(columnLabel).join(', ');
  return `the row has no such column; its columns are ${shown}${names.length > MOST_NAMES ? ' …' : ''}`;
}
