/** As a shell takes it: a command that is shown can be copied, whatever a batch or a file is called. */
export function quoted(word: string): string {
  return /^[\w.:/@%+,=-][\w.:/@%+,=#-]*$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
