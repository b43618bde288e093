import { excerpt } from '../../core/excerpt.ts';
import { findLoss, formatLoss, parseJson } from '../../core/json.ts';
import { splitUrls } from './url.ts';
import { type Flaw, flaw } from './text.ts';
import { wholeNumber } from './fields.ts';

/** A JSON value, or why the cell is not one. */
type Decoded = { value: unknown } | Flaw;

/** The columns whose CSV cells are not text. */
const decoders: Readonly<Record<string, (text: string) => Decoded>> = {
  reference_image_urls: decodeList,
  extra_body: (text) => decodeJson(text, 'extra-body-json', 'a JSON object such as {"seed": 42}'),
  'extra_body.audio': (text) => ({ value: decodeBoolean(text) }),
  'extra_body.bgm': (text) => ({ value: decodeBoolean(text) }),
  'extra_body.seed': (text) => ({ value: wholeNumber(text) }),
};

/** The value of a CSV cell. Text that is no number or boolean stays text, for the rule of the field to report. */
export function decodeCell(column: string, value: unknown): Decoded {
  const decode = typeof value === 'string' && Object.hasOwn(decoders, column) ? decoders[column] : undefined;
  return decode === undefined ? { value } : decode(String(value));
}

/** A JSON array, or items between `|`, a comma and the like. A URL that holds a `|` needs the array. */
function decodeList(text: string): Decoded {
  const plain = text.trim();
  if (plain.startsWith('[')) {
    const items = quotedItems(plain);
    return items === undefined
      ? decodeJson(text, 'reference-image-urls-json', 'a JSON array, nor URLs separated by |')
      : { value: items };
  }
  return { value: text.split('|').flatMap(splitUrls) };
}

/** The items of a list as Python prints it: `['https://…', 'https://…']`. */
function quotedItems(text: string): string[] | undefined {
  if (!/^\[\s*'[^'"]*'(?:\s*,\s*'[^'"]*')*\s*,?\s*\]$/.test(text)) return undefined;
  return [...text.matchAll(/'([^']*)'/g)].map(([, item = '']) => item.trim());
}

function decodeJson(text: string, rule: string, allowed: string): Decoded {
  const parsed = parseJson(text);
  if (parsed === undefined) return flaw(rule, `${excerpt(text)} is not ${allowed}`);
  const loss = findLoss(text);
  if (loss === undefined) return parsed;
  const { rule: lost, column, message } = formatLoss(loss);
  return flaw(lost, column === undefined ? message : `${column}: ${message}`);
}

function decodeBoolean(text: string): unknown {
  const word = text.trim().toLowerCase();
  if (word === 'true' || word === '1') return true;
  return word === 'false' || word === '0' ? false : text;
}
