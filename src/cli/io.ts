import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { EXIT, usageError, VidbatchError } from '../core/errors.ts';

/** How a command speaks: data on stdout, everything else on stderr. */
export interface Io {
  out(line: string): void;
  err(line: string): void;
  /** Resolves false when nobody reads any more (a closed pipe). */
  write(text: string): Promise<boolean>;
  /** Whether a person is watching stderr: bars and questions only then. */
  interactive: boolean;
  columns: number;
  stdin: NodeJS.ReadStream;
  /** Ends the process now, whatever is open: for a second SIGTERM. */
  quit: (code: number) => void;
}

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

/**
 * For commands that stream a manifest or a ledger: the heap follows what is alive instead of growing into whatever a
 * long run leaves behind for later. Measured, `submit` of 20,000 and of 200,000 rows: 218 and 373 MB resident without
 * it, 162 and 165 MB with it, for about a fifth more time.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--heap-growing-percent=30');
  setFlagsFromString('--semi-space-growth-factor=1');
  // Until its first full collection, the heap grows up to a limit that the size of the machine sets, not what is alive.
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
