import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * What signals do before a command listens to them itself. Imports nothing of the project: it is there before the rest
 * is loaded, which takes a second.
 */

/** By the shells: 128 and the signal's number. */
export const SIGNAL_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
export type StopSignal = keyof typeof SIGNAL_CODES;
const SIGNALS = Object.keys(SIGNAL_CODES) as StopSignal[];

const ignored = isHangupIgnored(process.env);
// Only for this process: nohup is asked for anew where it starts another.
delete process.env['VIDBATCH_SIGHUP'];

/** Those that end a command; under nohup, SIGHUP is none of them. */
export const STOP_SIGNALS: readonly StopSignal[] = ignored
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

export function listenEarly(): void {
  // Node gives every signal its default at its start, also one that nohup has switched off.
  if (ignored) process.on('SIGHUP', () => undefined);
  for (const { name, listener } of early) process.on(name, listener);
}

/** From here on a signal ends the process as usual, unless the command listens. */
export function endListening(): void {
  for (const { name, listener } of early) process.off(name, listener);
}

/**
 * Whether SIGHUP was ignored when the process was started, as by nohup. The launcher's first line has asked, before
 * Node. Where Node was started without it: bash and zsh name the program that they started, and nohup leaves a standard
 * input that can only be written to, in place of a terminal.
 */
function isHangupIgnored(env: Readonly<Record<string, string | undefined>>): boolean {
  return env['VIDBATCH_SIGHUP'] === 'ignored' || basename(env['_'] ?? '') === 'nohup' || isInputOfNohup();
}

function isInputOfNohup(): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync('/proc/self/fdinfo/0', 'utf8'))?.[1] ?? '0';
    return readlinkSync('/proc/self/fd/0') === '/dev/null' && (Number.parseInt(flags, 8) & 0o3) === 1;
  } catch {
    // No Linux, or no standard input.
    return false;
  }
}

/** SIGINT, SIGTERM or SIGHUP: the first asks to finish, a second ends the process at once. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** Resolves with the exit code of the signal (130, 143, 129) when it comes. */
  readonly happened: Promise<number>;
  dispose(): void;
}

export function onInterrupt(quit: (code: number) => void): Interrupt {
  const controller = new AbortController();
  let resolve: (code: number) => void = () => undefined;
  const happened = new Promise<number>((done) => (resolve = done));
  const listen = (name: StopSignal) => (): void => {
    if (!controller.signal.aborted) {
      controller.abort();
      resolve(SIGNAL_CODES[name]);
      return;
    }
    // A closed terminal sends it more than once, by the kernel and by the shell: no person has asked twice.
    if (name === 'SIGHUP') return;
    // Nothing is lost: what is in flight is swept after its deadline. Asked twice, we do not wait.
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
