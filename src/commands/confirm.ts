import { createInterface } from 'node:readline/promises';
import { usageError } from '../errors.ts';
import type { Io } from './io.ts';

/** Asks a person. @throws VidbatchError exit 2 without a terminal, or for any answer but yes. */
export async function confirm(io: Io, question: string): Promise<void> {
  if (!io.interactive) throw usageError('NOT_CONFIRMED', question, 'Without a terminal, say --yes.');
  const prompt = createInterface({ input: io.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim()))
      throw usageError('NOT_CONFIRMED', 'not confirmed: nothing was done');
  } finally {
    prompt.close();
  }
}
