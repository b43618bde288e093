import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Order, Seen, Word } from './endpoint.ts';

/** The simulator, which all contenders send to. */
export interface Target {
  url: string;
  pid: number;
  /** Forgets what has come, and answers after so many milliseconds from now on. */
  begin: (latencyMs: number) => Promise<void>;
  seen: () => Promise<Seen>;
  stop: () => Promise<void>;
}

export async function startTarget(): Promise<Target> {
  const child = fork(fileURLToPath(new URL('endpoint.ts', import.meta.url)));
  const next = async (): Promise<Word> => ((await once(child, 'message')) as [Word])[0];
  const ask = async (order: Order): Promise<Word> => {
    const word = next();
    child.send(order);
    return word;
  };
  const listening = await next();
  if (listening.kind !== 'listening') throw new Error('the endpoint did not start');
  return {
    url: `http://127.0.0.1:${listening.port}`,
    pid: child.pid ?? 0,
    async begin(latencyMs) {
      await ask({ kind: 'begin', latencyMs });
    },
    async seen() {
      const word = await ask({ kind: 'tell' });
      if (word.kind !== 'seen') throw new Error('the endpoint did not say what it had seen');
      return word;
    },
    async stop() {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}
