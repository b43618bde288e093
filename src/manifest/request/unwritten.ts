import { excerpt } from '../../core/excerpt.ts';

export interface Flaw {
  rule: string;
  message: string;
}

/** What spreadsheets show in the place of a value: `#REF!`, `#N/A`, and a number that its column is too narrow for. */
const SPREADSHEET_ERROR =
  /^#(?:REF!|N\/A|VALUE!|DIV\/0!|NAME\?|NULL!|NUM!|SPILL!|CALC!|ERROR!|FIELD!|BLOCKED!|GETTING_DATA|#+)$/i;

/** What programs write where there is no value, and what people write for it. */
const NO_VALUE = /^(?:<?nan?>?|nat|none|null|nil|undefined|n\/a|\[object object\]|[-‐-―－]+|\/|无|無)$/i;

const AS_WRITTEN = '--as-written sends it as it is';

/** Why nobody has written this text as a prompt. */
export function unwrittenPrompt(text: string): Flaw | undefined {
  const plain = text.trim();
  if (NO_VALUE.test(plain)) {
    return {
      rule: 'text-no-value',
      message: `${excerpt(plain)} stands for a missing value; write the prompt (${AS_WRITTEN})`,
    };
  }
  if (/^[?？\s]+$/.test(plain) && plain !== '') {
    return {
      rule: 'text-garbled',
      message: `${excerpt(plain)} is only question marks: another program has lost the text; write it again (${AS_WRITTEN})`,
    };
  }
  return unwrittenText(text);
}

/** Why nobody has written this text, whatever it is for; words such as "none" may be meant. */
export function unwrittenText(text: string): Flaw | undefined {
  const plain = text.trim();
  if (SPREADSHEET_ERROR.test(plain)) {
    return {
      rule: 'text-spreadsheet-error',
      message: `${excerpt(plain)} is an error of a spreadsheet; correct the cell and save the sheet again (${AS_WRITTEN})`,
    };
  }
  if (/^[=＝]\s*[\p{L}\d"'([{$@+-]/u.test(plain)) {
    return {
      rule: 'text-formula',
      message: `${excerpt(plain)} looks like a formula of a spreadsheet; save its value instead (${AS_WRITTEN})`,
    };
  }
  const lost = text.indexOf('\uFFFD');
  return lost === -1
    ? undefined
    : {
        rule: 'text-garbled',
        message: `holds U+FFFD at position ${lost + 1}: another program has lost a character there; write it again (${AS_WRITTEN})`,
      };
}

/** An id that a spreadsheet has probably changed: a date, a power of ten, an error. */
export function mangledId(id: string): Flaw | undefined {
  const months = 'Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec';
  const date = new RegExp(
    `^(?:\\d{1,2}-(?:${months})(?:-\\d{2,4})?|(?:${months})-\\d{2,4}|\\d{1,2}月\\d{1,2}日|\\d{4}年\\d{1,2}月(?:\\d{1,2}日)?)$`,
    'i',
  );
  const what = /^[+-]?\d(?:[.,]\d+)?E[+-]?\d+$/i.test(id)
    ? 'a number that a spreadsheet has shortened'
    : date.test(id)
      ? 'a date that a spreadsheet has made'
      : unwrittenPrompt(id) === undefined
        ? undefined
        : 'a missing value or an error of a spreadsheet';
  return what === undefined
    ? undefined
    : {
        rule: 'id-mangled',
        message: `${excerpt(id)} looks like ${what}; format the column as text, and restore the ids before anything is sent`,
      };
}
