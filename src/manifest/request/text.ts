/**
 * What makes text unfit to be sent, or to be stored. Postgres refuses NUL, and a lone surrogate has no UTF-8
 * form: it would go out as U+FFFD, so that what is paid is not what the row says.
 */
export function textFlaw(text: string): { rule: string; message: string } | undefined {
  const nul = text.indexOf('\0');
  if (nul !== -1)
    return { rule: 'nul-character', message: `contains a NUL character at position ${nul + 1}` };
  if (text.isWellFormed()) return undefined;
  return { rule: 'lone-surrogate', message: 'contains half a character (a lone surrogate)' };
}
