/** Characters that show nothing: joiners, marks of direction, soft hyphens, variation selectors. */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu;
const WHOLE_NUMBER = /^0*(\d+?)(?:\.0+)?$/;

/**
 * Ids with the same likeness look the same to a person, or are the same to a spreadsheet: they differ only by case,
 * width, normal form, invisible characters or spaces, leading zeros, or a decimal point with zeros behind it.
 */
export function likenessOf(id: string): string {
  const plain = id
    .normalize('NFKC')
    .replaceAll(INVISIBLE, '')
    .replaceAll(/\s+/g, ' ')
    .trim()
    // Both: each of the two leaves pairs apart that the other one joins.
    .toLowerCase()
    .toUpperCase()
    .toLowerCase()
    .normalize('NFKC');
  return plain.replace(WHOLE_NUMBER, '$1');
}

/** The id for a message, with what shows nothing written as `<U+200B>`. */
export function shownId(id: string): string {
  return id.replaceAll(
    INVISIBLE,
    (c) => `<U+${(c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}>`,
  );
}
