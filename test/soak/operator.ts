import { describe, jsonLines, type Ended, type Cli } from '../cli.ts';
import type { SimulatorProcess } from '../e2e/simulator.ts';
import type { Command } from './plan.ts';
import { promptOf } from './verdict.ts';

/** A person at the command line, with the provider's own list of tasks beside it. */
export interface Operator {
  /** A command in the middle of it all: it may fail, by a code that says so; it may not crash. */
  operate: (command: Command, batch: string) => Promise<void>;
  /** A command that has to end with one of these codes. */
  must: (codes: readonly number[], ...line: string[]) => Promise<Ended>;
  /** Looks at how a command ended, as `operate` does. */
  heed: (ended: Ended) => void;
  /** Settles up to so many uncertain rows by what the provider says, now that it has said all. Returns how many. */
  settle: (batch: string, most: number) => Promise<number>;
  /** Calls rows not sent that the provider has accepted. */
  misjudge: (batch: string, most: number) => Promise<void>;
  /** Prompts of rows of which that was said. */
  misjudged: Set<string>;
  commands: () => number;
  /** How commands ended that must not have ended so. */
  surprises: string[];
}

/** A row was settled by an answer meanwhile, or its deadline is to come: the person is told so. */
const TOLD = /\[(CANCELLED|NO_SUCH_BATCH|NO_LEDGER|NOT_UNCERTAIN|BEFORE_DEADLINE)\]/;

/** Thousands of rows may be left for the end, and the machine may be busy. */
const PATIENCE_MS = 300_000;

export function startOperator(cli: Cli, simulator: SimulatorProcess, env: Record<string, string>): Operator {
  const surprises: string[] = [];
  const misjudged = new Set<string>();
  let commands = 0;

  function run(...line: string[]): Promise<Ended> {
    commands += 1;
    return cli.run(line, { env, patienceMs: PATIENCE_MS });
  }

  function heed(ended: Ended): void {
    const { code, stderr } = ended;
    const refused = code === 2 && TOLD.test(stderr);
    if (code === 0 || code === 1 || refused || (code !== null && code >= 4 && code <= 7)) return;
    surprises.push(describe(ended));
  }

  /** Uncertain rows, with the task that the provider has for each. */
  async function uncertain(
    batch: string,
  ): Promise<{ key: string; prompt: string; taskId: string | undefined }[]> {
    const ended = await run('uncertain', batch, '--json');
    heed(ended);
    if (ended.code !== 0) return [];
    const tasks = new Map(simulator.accepted().map(({ body, taskId }) => [body.prompt, taskId]));
    return jsonLines<{ kind: string; key: string }>(ended.stdout)
      .filter(({ kind }) => kind === 'uncertain')
      .map(({ key }) => ({ key, prompt: promptOf(batch, key), taskId: tasks.get(promptOf(batch, key)) }));
  }

  function resolve(batch: string, key: string, ...word: string[]): Promise<Ended> {
    return run('resolve', batch, key, ...word, '--reason', 'soak');
  }

  /** While everything moves, a person can know what was accepted, never what was not; that he gives up, or leaves. */
  async function settleOne(batch: string): Promise<void> {
    const [row] = await uncertain(batch);
    if (row === undefined) return;
    const word = row.taskId === undefined ? ['--abandon'] : ['--task-id', row.taskId];
    heed(await resolve(batch, row.key, ...word));
  }

  return {
    misjudged,
    surprises,
    heed,
    commands: () => commands,
    async operate(command, batch) {
      if (command === 'settle') return settleOne(batch);
      const lines: Record<typeof command, string[][]> = {
        pause: [['pause', batch]],
        resume: [['resume', batch]],
        'resume-all': [['resume']],
        'cancel-and-retry': [
          ['cancel', batch, '--yes'],
          ['retry', batch, '--yes'],
        ],
        retry: [['retry', batch, '--yes']],
        status: [['status', batch]],
        export: [['export', batch, '--format', 'jsonl']],
        reconcile: [['reconcile', batch]],
      };
      for (const line of lines[command]) heed(await run(...line));
    },
    async must(codes, ...line) {
      const ended = await run(...line);
      if (!codes.includes(ended.code ?? -1)) surprises.push(describe(ended));
      return ended;
    },
    async settle(batch, most) {
      const rows = (await uncertain(batch)).slice(0, most);
      for (const { key, taskId } of rows) {
        // In an embedded ledger a minute has to pass before anything can be called not sent.
        heed(await resolve(batch, key, ...(taskId === undefined ? ['--not-sent'] : ['--task-id', taskId])));
      }
      return rows.length;
    },
    async misjudge(batch, most) {
      const rows = (await uncertain(batch)).filter(({ taskId }) => taskId !== undefined).slice(0, most);
      for (const { key, prompt } of rows) {
        const ended = await resolve(batch, key, '--not-sent');
        heed(ended);
        if (ended.code === 0) misjudged.add(prompt);
      }
    },
  };
}
