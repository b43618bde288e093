/** `5`, ` 5 `, and `5.0` as spreadsheets write it; not `1e1`, `0x5`, `+5` or `５`, which somebody should look at. */
const wholeText = /^-?[0-9]+(\.0+)?$/;

/** Text as a number when it is written as a whole one; anything else as it came. */
export function wholeNumber(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const text = value.trim();
  // More digits than a number holds stay text: a message must name what stands there.
  return wholeText.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : value;
}

/** What to do about text that is nearly a whole number, as the end of a message; else empty. What it suggests is allowed. */
export function wholeNumberHint(value: unknown, from: number, to: number): string {
  if (typeof value !== 'string') return '';
  const text = value.trim();
  const plain = text.slice(0, 40).normalize('NFKC');
  if (/^[0-9.]+e\+?[0-9]+$/i.test(plain))
    return '; a spreadsheet may have shortened it: format the column as text';
  if (plain !== text && wholeText.test(plain) && Number(plain) >= from && Number(plain) <= to)
    return `; write ${plain} in plain digits`;
  const unit = /^([0-9]+)\s*(\p{L}+\.?|")$/u.exec(plain);
  const fits = unit?.[1] !== undefined && Number(unit[1]) >= from && Number(unit[1]) <= to;
  return fits ? `; write ${unit[1]} alone` : '';
}
