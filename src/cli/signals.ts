import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

// This file imports nothing of the project: it handles signals while the rest is loaded, which takes a second.

/** Exit codes as shells set them: 128 and the signal's number. */
const SIGNAL_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
type StopSignal = keyof typeof SIGNAL_CODES;
const SIGNALS = Object.keys(SIGNAL_CODES) as StopSignal[];

const ignoresHangup = isHangupIgnored(process.env);
// Only this process runs under nohup. A process that it starts must find out for itself.
delete process.env['VIDBATCH_SIGHUP'];

/** The signals that end a command. Under nohup, SIGHUP does not. */
const STOP_SIGNALS: readonly StopSignal[] = ignoresHangup
  ? SIGNALS.filter((name) => name !== 'SIGHUP')
  : SIGNALS;

const early = STOP_SIGNALS.map((name) => ({
  name,
  listener: () => {
    process.stderr.write(`vidbatch: interrupted at its start: nothing was done [INTERRUPTED]\n`, () =>
      process.exit(SIGNAL_CODES[name]),
    );
  },
}));

/** Handles signals until the command listens itself. */
export function listenEarly(): void {
  // Node resets every signal to its default at its start, also a signal that nohup has switched off.
  if (ignoresHangup) process.on('SIGHUP', () => undefined);
  for (const { name, listener } of early) process.on(name, listener);
}

/** From here on a signal ends the process as usual, unless the command listens. */
export function endListening(): void {
  for (const { name, listener } of early) process.off(name, listener);
}

/**
 * Whether SIGHUP was ignored when the process was started, as by nohup. The launcher's first line finds out before Node
 * starts. Without the launcher there are two signs: bash and zsh name the started program in `_`, and nohup replaces a
 * terminal by a standard input that can only be written to.
 */
function isHangupIgnored(env: Readonly<Record<string, string | undefined>>): boolean {
  return env['VIDBATCH_SIGHUP'] === 'ignored' || basename(env['_'] ?? '') === 'nohup' || isInputOfNohup();
}

function isInputOfNohup(): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync('/proc/self/fdinfo/0', 'utf8'))?.[1] ?? '0';
    return readlinkSync('/proc/self/fd/0') === '/dev/null' && (Number.parseInt(flags, 8) & 0o3) === 1;
  } catch {
    // Not Linux, or no standard input.
    return false;
  }
}

/** SIGINT, SIGTERM or SIGHUP: the first asks the command to finish, a second one ends the process at once. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** Resolves with the exit code of the signal (130, 143, 129) when it comes. */
  readonly happened: Promise<number>;
  dispose(): void;
}

export function onInterrupt(quit: (code: number) => void): Interrupt {
  const controller = new AbortController();
  const { promise: happened, resolve } = Promise.withResolvers<number>();
  const listen = (name: StopSignal) => (): void => {
    if (!controller.signal.aborted) {
      controller.abort();
      resolve(SIGNAL_CODES[name]);
      return;
    }
    // A closed terminal sends SIGHUP more than once, by the kernel and by the shell, so it does not count as a second one.
    if (name === 'SIGHUP') return;
    // Nothing is lost: the sweeper judges the rows in flight after their deadline.
    quit(SIGNAL_CODES[name]);
  };
  const listeners = STOP_SIGNALS.map((name) => ({ name, listener: listen(name) }));
  for (const { name, listener } of listeners) process.on(name, listener);
  return {
    signal: controller.signal,
    happened,
    dispose() {
      for (const { name, listener } of listeners) process.off(name, listener);
    },
  };
}
