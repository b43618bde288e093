import { spawn, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface Child {
  readonly pid: number;
  /** The next line that it prints; rejects with its stderr when it ends first. */
  line(): Promise<string>;
  say(line: string): void;
  /** Kills it as `kill -9` does and resolves with every line it printed that nobody read. */
  kill(): Promise<string[]>;
  /** Everything on stderr, once it has ended. */
  ended(): Promise<string>;
}

/** Runs `code`, an ES module, in a Node of its own; `src` in it is the URL of `src/database/`. */
export function startChild(code: string, options: SpawnOptions = {}): Child {
  const src = new URL('../../src/database/', import.meta.url).href;
  const child = spawn(
    process.execPath,
    ['--liftoff-only', '--input-type=module', '--eval', `const src = ${JSON.stringify(src)};\n${code}`],
    { ...options, stdio: ['pipe', 'pipe', 'pipe'] },
  );
  const { stdin, stdout, stderr, pid } = child;
  if (stdin === null || stdout === null || stderr === null || pid === undefined) throw new Error('no child');
  let errors = '';
  stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const closed = once(child, 'close');
  return {
    pid,
    line: async () => {
      const { value, done } = await lines.next();
      if (done === true) {
        await closed;
        throw new Error(`the child ended: ${errors}`);
      }
      return value;
    },
    say: (line) => stdin.write(`${line}\n`),
    kill: async () => {
      child.kill('SIGKILL');
      const rest: string[] = [];
      for (let next = await lines.next(); next.done !== true; next = await lines.next())
        rest.push(next.value);
      await closed;
      return rest;
    },
    ended: async () => {
      await closed;
      return errors;
    },
  };
}
