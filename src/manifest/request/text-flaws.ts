import { excerpt } from '../../core/text.ts';

/** A broken rule, and its message. */
export interface Flaw {
  rule: string;
  message: string;
}

export const flaw = (rule: string, message: string): Flaw => ({ rule, message });

/** Postgres refuses NUL. A lone surrogate has no UTF-8 form, so another text would be sent. */
export function textFlaw(text: string): Flaw | undefined {
  const nul = text.indexOf('\0');
  if (nul !== -1) return flaw('nul-character', `contains a NUL character at position ${nul + 1}`);
  return text.isWellFormed()
    ? undefined
    : flaw('lone-surrogate', 'contains half a character (a lone surrogate)');
}

/** The errors of spreadsheets: `#REF!`, `#N/A`, and `####` for a number in a narrow column. */
const SPREADSHEET_ERROR =
  /^#(?:REF!|N\/A|VALUE!|DIV\/0!|NAME\?|NULL!|NUM!|SPILL!|CALC!|ERROR!|FIELD!|BLOCKED!|GETTING_DATA|#+)$/i;

/** What programs and people write for a missing value. */
const NO_VALUE = /^(?:<?nan?>?|nat|none|null|nil|undefined|n\/a|\[object object\]|[-‐-―－]+|\/|无|無)$/i;

const AS_WRITTEN = '--as-written sends it as it is';

/** Finds a prompt that its author probably did not write. */
export function unwrittenPrompt(text: string): Flaw | undefined {
  const plain = text.trim();
  if (NO_VALUE.test(plain)) {
    return flaw(
      'text-no-value',
      `${excerpt(plain)} stands for a missing value; write the prompt (${AS_WRITTEN})`,
    );
  }
  if (/^[?？\s]+$/.test(plain) && plain !== '') {
    return flaw(
      'text-garbled',
      `${excerpt(plain)} is only question marks: another program has lost the text; write it again (${AS_WRITTEN})`,
    );
  }
  return unwrittenText(text);
}

/** The same for other text, in which a word such as "none" may be meant. */
export function unwrittenText(text: string): Flaw | undefined {
  const plain = text.trim();
  if (SPREADSHEET_ERROR.test(plain)) {
    return flaw(
      'text-spreadsheet-error',
      `${excerpt(plain)} is an error of a spreadsheet; correct the cell and save the sheet again (${AS_WRITTEN})`,
    );
  }
  if (/^[=＝]\s*[\p{L}\d"'([{$@+-]/u.test(plain)) {
    return flaw(
      'text-formula',
      `${excerpt(plain)} looks like a formula of a spreadsheet; save its value instead (${AS_WRITTEN})`,
    );
  }
  const lost = text.indexOf('\uFFFD');
  if (lost === -1) return undefined;
  return flaw(
    'text-garbled',
    `holds U+FFFD at position ${lost + 1}: another program has lost a character there; write it again (${AS_WRITTEN})`,
  );
}

const MONTH = 'Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec';
const SPREADSHEET_DATE = new RegExp(
  `^(?:\\d{1,2}-(?:${MONTH})(?:-\\d{2,4})?|(?:${MONTH})-\\d{2,4}|\\d{1,2}月\\d{1,2}日|\\d{4}年\\d{1,2}月(?:\\d{1,2}日)?)$`,
  'i',
);

/** An id that a spreadsheet has probably changed. */
export function mangledId(id: string): Flaw | undefined {
  const what = whatMangled(id);
  return what === undefined
    ? undefined
    : flaw(
        'id-mangled',
        `${excerpt(id)} looks like ${what}; format the column as text, and restore the ids before anything is sent`,
      );
}

export function isMangledId(id: string): boolean {
  return whatMangled(id) !== undefined;
}

function whatMangled(id: string): string | undefined {
  if (/^[+-]?\d(?:[.,]\d+)?E[+-]?\d+$/i.test(id)) return 'a number that a spreadsheet has shortened';
  if (SPREADSHEET_DATE.test(id)) return 'a date that a spreadsheet has made';
  return unwrittenPrompt(id) && 'a missing value or an error of a spreadsheet';
}

/** Signs of text that was decoded with the wrong encoding. */
const GARBLED = [
  // U+FFFD in UTF-8, memory that was never filled, or a byte order mark, each read as GBK.
  /锟斤拷|烫烫烫|屯屯屯|^锘/,
  // UTF-8 of Latin letters read as Windows-1252: `Ã©` for é.
  /[ÂÃ][\u0080-\u00BF]/,
  // The same of punctuation: `â€™` for an apostrophe.
  /â€/,
  // The same of Chinese, twice: `æ¸…æ™¨` for 清晨. Once may be French: `touché…”`.
  /(?:[\u00E2-\u00EF][\u0080-\u00BF€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]{2}.*){2}/s,
];

/** Finds text that another program probably decoded with the wrong encoding. */
export function garbledText(text: string): Flaw | undefined {
  if (!GARBLED.some((sign) => sign.test(text)) && !isUtf8AsGbk(text)) return undefined;
  return flaw(
    'text-probably-garbled',
    `${excerpt(text)} looks like text that another program has read in the wrong encoding; save the sheet as "CSV UTF-8"`,
  );
}

/** This many characters with GBK bytes that are valid UTF-8 are no accident. */
const ENOUGH = 4;

/** UTF-8 of Chinese read as GBK: `娓呮櫒` for 清晨. Real Chinese fails at its first character. */
function isUtf8AsGbk(text: string): boolean {
  const bytes: number[] = [];
  for (const character of text.slice(0, 200)) {
    if (character < '\u0080') continue;
    const pair = gbkBytes().get(character);
    if (pair === undefined) return false;
    bytes.push(...pair);
    if (bytes.length >= 2 * ENOUGH) break;
  }
  if (bytes.length < 2 * ENOUGH) return false;
  try {
    // The last character may be cut. Sequences of two bytes alone may be an accident.
    const decoder = new TextDecoder('utf-8', { fatal: true });
    const decoded = decoder.decode(Uint8Array.from(bytes), { stream: true });
    return /^[\u3000-\u9fff\uff00-\uffef]+$/.test(decoded);
  } catch {
    return false;
  }
}

let table: Map<string, readonly [number, number]> | undefined;

/** All 24,000 characters of GBK, made for the first Chinese text. */
function gbkBytes(): ReadonlyMap<string, readonly [number, number]> {
  if (table !== undefined) return table;
  table = new Map();
  const decoder = new TextDecoder('gbk');
  for (let lead = 0x81; lead <= 0xfe; lead += 1) {
    for (let trail = 0x40; trail <= 0xfe; trail += 1) {
      const text = decoder.decode(Uint8Array.of(lead, trail));
      if (text.length === 1 && text !== '\uFFFD') table.set(text, [lead, trail]);
    }
  }
  return table;
}
