import { excerpt } from '../../core/excerpt.ts';
import type { Flaw } from './unwritten.ts';

/** UTF-8 of Latin letters read as Windows-1252: `Ã©` for é. */
const SHORT = /[ÂÃ][\u0080-\u00BF]/;
/** Punctuation in UTF-8 read as Windows-1252: `â€™` for an apostrophe. */
const PUNCTUATION = /â€/;
/** UTF-8 of Chinese and the like read as Windows-1252, twice: `æ¸…æ™¨` for 清晨. Once may be French: `touché…”`. */
const LONG = /(?:[\u00E2-\u00EF][\u0080-\u00BF€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]{2}.*){2}/s;
/** U+FFFD in UTF-8 read as GBK; memory that was never filled, read as GBK; a byte order mark read as GBK. */
const GBK = /锟斤拷|烫烫烫|屯屯屯|^锘/;

/** Why a text was probably decoded with the wrong encoding before it reached us. */
export function garbledText(text: string): Flaw | undefined {
  const signs = [GBK, SHORT, PUNCTUATION, LONG];
  if (!signs.some((sign) => sign.test(text)) && !isUtf8AsGbk(text)) return undefined;
  return {
    rule: 'text-probably-garbled',
    message: `${excerpt(text)} looks like text that another program has read in the wrong encoding; save the sheet as "CSV UTF-8"`,
  };
}

/** So many Chinese characters whose GBK bytes are whole UTF-8 are no accident. */
const ENOUGH = 4;

/** UTF-8 of Chinese read as GBK: `娓呮櫒` for 清晨. Everyday Chinese fails at its first character. */
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
    const decoded = new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes), {
      stream: true,
    });
    return /^[\u3000-\u9fff\uff00-\uffef]+$/.test(decoded);
  } catch {
    return false;
  }
}

let table: Map<string, readonly [number, number]> | undefined;

/** Made when the first Chinese text is looked at: 24,000 characters, in some milliseconds. */
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
