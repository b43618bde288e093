/** SIGINT or SIGTERM: the first asks to finish, a second ends the process at once. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** Resolves with the exit code of the signal (130, 143) when it comes. */
  readonly happened: Promise<number>;
  dispose(): void;
}

const CODES = { SIGINT: 130, SIGTERM: 143 } as const;

export function onInterrupt(quit: (code: number) => void): Interrupt {
  const controller = new AbortController();
  let resolve: (code: number) => void = () => undefined;
  const happened = new Promise<number>((done) => (resolve = done));
  const listen = (name: keyof typeof CODES) => (): void => {
    if (controller.signal.aborted) {
      // Nothing is lost: what is in flight is swept after its deadline. Asked twice, we do not wait.
      quit(CODES[name]);
      return;
    }
    controller.abort();
    resolve(CODES[name]);
  };
  const onInt = listen('SIGINT');
  const onTerm = listen('SIGTERM');
  process.on('SIGINT', onInt);
  process.on('SIGTERM', onTerm);
  return {
    signal: controller.signal,
    happened,
    dispose() {
      process.off('SIGINT', onInt);
      process.off('SIGTERM', onTerm);
    },
  };
}
