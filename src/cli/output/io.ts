import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { EXIT, usageError, VidbatchError } from '../../core/errors.ts';
import { render, type Line } from './style.ts';

/** How a command speaks: data on stdout, everything else on stderr. */
export interface Io {
  out(line: Line): void;
  err(line: Line): void;
  /** Resolves with false when the reader has closed the pipe. */
  write(text: string): Promise<boolean>;
  /** Whether a person watches stderr. Only then are there bars and questions. */
  interactive: boolean;
  columns: number;
  /** The columns of stdout; without a terminal, no line is too wide. */
  width: number;
  stdin: NodeJS.ReadStream;
  /** Ends the process at once, for a second SIGTERM. */
  quit: (code: number) => void;
}

/** A pipe without a reader, and a terminal that was closed. */
const READER_GONE = ['EPIPE', 'EIO'];

/** The streams of this process. */
export function openIo(): Io {
  const { stdin, stdout, stderr } = process;
  let hasReader = true;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (!READER_GONE.includes(error.code ?? '')) throw error;
    hasReader = false;
  });
  // Rows in flight are recorded even when stderr cannot be written.
  stderr.on('error', () => undefined);
  const print = (stream: NodeJS.WriteStream) => (line: Line) =>
    void stream.write(`${render(line, stream)}\n`);
  return {
    out: print(stdout),
    err: print(stderr),
    async write(text) {
      if (!hasReader) return false;
      if (!stdout.write(text)) await untilDrained(stdout);
      return hasReader;
    },
    interactive: stderr.isTTY && stdin.isTTY,
    // A terminal without a known size reports 0.
    columns: stderr.columns || 80,
    width: stdout.isTTY ? stdout.columns || 80 : Infinity,
    stdin,
    quit: (code) => process.exit(code),
  };
}

/** Until the reader has caught up, or is gone. It removes its listeners, however often it is called. */
async function untilDrained(stream: NodeJS.WriteStream): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  try {
    await Promise.race([once(stream, 'drain', { signal }), once(stream, 'close', { signal })]);
  } catch {
    // The stream's own listener handles the error.
  } finally {
    over.abort();
  }
}

/**
 * The one rule of commands that cancel rows, settle them or send them again: they ask first, unless the command line names
 * each row by its key, or says --yes. So a script changes no more rows than it names, or says --yes and means it. Commands
 * that only stop or continue (pause, resume) do not ask. What pays a second time always asks.
 */
export async function askFirst(
  io: Pick<Io, 'interactive' | 'stdin' | 'err'>,
  yes: boolean,
  what: string,
  ask = 'Continue?',
): Promise<void> {
  if (yes) io.err(what);
  else await confirm(io, `${what}. ${ask}`);
}

/**
 * Asks a person.
 * @throws VidbatchError exit 2 without a terminal, for any answer but yes, and at the end of the input; 130 for Ctrl-C.
 */
export async function confirm(io: Pick<Io, 'interactive' | 'stdin'>, question: string): Promise<void> {
  if (!io.interactive) throw usageError('NOT_CONFIRMED', question, 'Without a terminal, say --yes.');
  const prompt = createInterface({ input: io.stdin, output: process.stderr });
  const interrupted = once(prompt, 'SIGINT').then(() => 'interrupted' as const);
  const ended = once(prompt, 'close').then(() => 'ended' as const);
  const answered = prompt.question(`${question} [y/N] `).then(
    (text) => ({ text }),
    // Ctrl-D rejects the question and closes the prompt.
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
 * For commands that stream a manifest or a ledger: the heap stays close to the live data. For 20,000 and 200,000 rows,
 * `submit` needs 218 and 373 MB without it, and 162 and 165 MB with it, for about a fifth more time.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--heap-growing-percent=30');
  setFlagsFromString('--semi-space-growth-factor=1');
  // Before its first full collection, V8 lets the heap grow by the size of the machine, not by the live data.
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
