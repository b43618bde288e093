/**
 * How a cell of an export is written, so that no spreadsheet runs it, and read again as what it was.
 *
 * A spreadsheet runs what begins with one of `= + - @`, their full-width forms, a tab or a line break; it also does so
 * in the middle of a cell when it takes another character for the delimiter, since it sees no quotes then. In front of
 * each such place stands one apostrophe more than the text has; so whatever number it has comes back.
 */
const AT_START = /^(?:'*(?=[=+\-@＝＋－＠\t\r\n])|'+(?=:))/;
const WITHIN = /[,;|\t"\r\n]'*(?=[=+\-@＝＋－＠])/g;

/** The same places once they are harmless: the last apostrophe is ours. */
const AT_START_HARMLESS = /^'(?='*[=+\-@＝＋－＠\t\r\n]|'+:)/;
const WITHIN_HARMLESS = /([,;|\t"\r\n]'*)'(?=[=+\-@＝＋－＠])/g;

/** A cell that begins like this is a JSON value, and no text. */
const VALUE = "':";

/** The text of a cell, harmless. What no text file can hold (NUL, half a character) stands as JSON. */
export function writeText(text: string): string {
  if (text.includes('\0') || !text.isWellFormed()) return writeValue(text);
  return text.replace(AT_START, "$&'").replace(WITHIN, "$&'");
}

/** Any JSON value, told from the text that looks like it. */
export function writeValue(value: unknown): string {
  return VALUE + JSON.stringify(value).replace(WITHIN, "$&'");
}

/** What `writeText` or `writeValue` was given; `typed`: it was the latter. */
export function readCell(cell: string): { value: unknown; typed: boolean } {
  if (!cell.includes("'")) return { value: cell, typed: false };
  if (cell.startsWith(VALUE)) {
    const value = parse(cell.slice(VALUE.length).replace(WITHIN_HARMLESS, '$1'));
    if (value !== undefined) return { value, typed: true };
  }
  return { value: cell.replace(AT_START_HARMLESS, '').replace(WITHIN_HARMLESS, '$1'), typed: false };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
