import { messageOf, VidbatchError } from '../core/errors.ts';

/** What a person is told of an error, line by line. */
export function describeError(error: unknown): string[] {
  const { code, hint } = told(error);
  // The code belongs to what went wrong, and not to the last of the rows that are listed below.
  const [headline = '', ...listed] = messageOf(error).split('\n');
  return [`vidbatch: ${headline} [${code}]`, ...listed, ...(hint === undefined ? [] : [`  ${hint}`])];
}

/** The same for a program. */
export function errorJson(error: unknown): { code: string; message: string; hint: string | null } {
  const { code, hint } = told(error);
  return { code, message: messageOf(error), hint: hint ?? null };
}

function told(error: unknown): { code: string; hint?: string | undefined } {
  return error instanceof VidbatchError ? error : { code: 'UNEXPECTED' };
}
