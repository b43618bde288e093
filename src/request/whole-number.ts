/** `5`, ` 5 `, and `5.0` as spreadsheets write it; not `1e1`, `0x5`, `+5` or `５`, which somebody should look at. */
const wholeText = /^-?[0-9]+(\.0+)?$/;

/** Text as a number when it is written as a whole one; anything else as it came. */
export function wholeNumber(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const text = value.trim();
  return wholeText.test(text) ? Number(text) : value;
}

/** What to do about text that is nearly a whole number, as the end of a message; else empty. */
export function wholeNumberHint(value: unknown): string {
  if (typeof value !== 'string') return '';
  const text = value.trim();
  const plain = text.slice(0, 40).normalize('NFKC');
  if (/^[0-9.]+e\+?[0-9]+$/i.test(plain))
    return '; a spreadsheet may have shortened it: format the column as text';
  if (plain !== text && wholeText.test(plain)) return `; write ${plain} in plain digits`;
  const unit = /^([0-9]+)\s*(\p{L}+\.?|")$/u.exec(plain);
  return unit?.[1] === undefined ? '' : `; write ${unit[1]} alone`;
}
