import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { EXIT, usageError, VidbatchError } from '../core/errors.ts';
import type { Io } from './io.ts';

/**
 * Asks a person.
 * @throws VidbatchError exit 2 without a terminal, or for any answer but yes, the end of the input too; 130 for Ctrl-C.
 */
export async function confirm(io: Pick<Io, 'interactive' | 'stdin'>, question: string): Promise<void> {
  if (!io.interactive) throw usageError('NOT_CONFIRMED', question, 'Without a terminal, say --yes.');
  const prompt = createInterface({ input: io.stdin, output: process.stderr });
  const interrupted = once(prompt, 'SIGINT').then(() => 'interrupted' as const);
  const ended = once(prompt, 'close').then(() => 'ended' as const);
  const answered = prompt.question(`${question} [y/N] `).then(
    (text) => ({ text }),
    // Ctrl-D; it closes the prompt, too.
    () => 'ended' as const,
  );
  try {
    const answer = await Promise.race([interrupted, ended, answered]);
    if (typeof answer === 'object' && /^y(es)?$/i.test(answer.text.trim())) return;
    // The cursor is still behind the question.
    if (typeof answer === 'string') process.stderr.write('\n');
    if (answer === 'interrupted')
      throw new VidbatchError('INTERRUPTED', 'interrupted: nothing was done', { exitCode: EXIT.interrupted });
    throw usageError(
      'NOT_CONFIRMED',
      'not confirmed: nothing was done',
      'Run it again and answer y, or say --yes.',
    );
  } finally {
    prompt.close();
  }
}
