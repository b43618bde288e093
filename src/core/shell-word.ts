/** Quoted for a shell, so that a shown command can be copied, whatever the name of a batch or file. */
export function quoted(word: string): string {
  return /^[\w.:/@%+,=-][\w.:/@%+,=#-]*$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
