import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Ended } from './cli.ts';
import type { Answer, CommandLine } from './command-loop.ts';

const COMMAND_LOOP = fileURLToPath(new URL('command-loop.ts', import.meta.url));

/** Processes of this test file that run no command now. */
const idle: ChildProcess[] = [];

/** Runs a command in a process that has loaded what earlier commands needed. `kill` ends the process with the command. */
export function runShared(line: Omit<CommandLine, 'end'>): {
  ended: Promise<Ended>;
  kill: (signal: NodeJS.Signals) => void;
} {
  const child = idle.pop() ?? forkLoop(line.env);
  return { ended: perform(child, line), kill: (signal) => void child.kill(signal) };
}

async function perform(child: ChildProcess, line: Omit<CommandLine, 'end'>): Promise<Ended> {
  const end = `end-${randomUUID()}`;
  holdOpen(child, true);
  const texts = [child.stdout, child.stderr].map((stream) => textUntil(stream as Readable, end));
  const died = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    reusable: false,
  }));
  const answered = once(child, 'message').then(([answer]) => ({ ...(answer as Answer), signal: null }));
  child.send({ ...line, end } satisfies CommandLine);
  const { code, signal, reusable } = await Promise.race([answered, died]);
  const [stdout = '', stderr = ''] = await Promise.all(texts);
  child.removeAllListeners();
  if (reusable) {
    holdOpen(child, false);
    idle.push(child);
  } else child.kill('SIGKILL');
  return { command: `vidbatch ${line.args.join(' ')}`, code, signal, stdout, stderr };
}

function forkLoop(env: Record<string, string>): ChildProcess {
  const child = fork(COMMAND_LOOP, {
    env,
    execArgv: ['--liftoff-only'],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  child.stdout?.setEncoding('utf8');
  child.stderr?.setEncoding('utf8');
  return child;
}

/** What the stream says until this text, or until it closes. */
function textUntil(stream: Readable, end: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const finish = (): void => {
      stream.off('data', hear).off('close', finish);
      resolve(text.replace(end, ''));
    };
    const hear = (more: string): void => {
      text += more;
      if (text.endsWith(end)) finish();
    };
    stream.on('data', hear).on('close', finish);
  });
}

/** A process without a command must not keep its test file alive. */
function holdOpen(child: ChildProcess, open: boolean): void {
  const { channel, stdout, stderr } = child;
  for (const handle of [child, channel, stdout, stderr] as { ref?: () => void; unref?: () => void }[]) {
    if (open) handle.ref?.();
    else handle.unref?.();
  }
}
