import { SIGNAL_CODES, STOP_SIGNALS } from './early-signals.ts';
import type { StopSignal } from './early-signals.ts';

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
