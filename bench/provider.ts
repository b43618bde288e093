import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { AcceptedCreate, StatsReport } from '../src/simulator/record.ts';
import type { RuleInput } from '../src/simulator/fault-rules.ts';
import type { SettingsPatch } from '../src/simulator/settings.ts';
import type { ListedTask } from '../src/simulator/tasks.ts';

const LAUNCHER = fileURLToPath(new URL('../bin/vidbatch.js', import.meta.url));

/** vidbatch's own simulator, in a process of its own: it keeps a quota, and its own record of what it accepted. */
export interface SimulatorProcess {
  url: string;
  configure: (change: SettingsPatch) => Promise<void>;
  addRule: (rule: RuleInput) => Promise<void>;
  stats: () => Promise<StatsReport>;
  record: () => Promise<AcceptedCreate[]>;
  tasks: () => Promise<ListedTask[]>;
  stop: () => Promise<void>;
}

export async function startSimulatorProcess(args: readonly string[]): Promise<SimulatorProcess> {
  const child = spawn(process.execPath, [LAUNCHER, 'simulate', '--port', '0', '--json', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const { url } = JSON.parse(line) as { url: string };
  const ask = async (path: string, init?: RequestInit): Promise<string> => {
    const answer = await fetch(`${url}/control/${path}`, init);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.text();
  };
  return {
    url,
    async configure(change) {
      await ask('settings', { method: 'POST', body: JSON.stringify(change) });
    },
    async addRule(rule) {
      await ask('rules', { method: 'POST', body: JSON.stringify(rule) });
    },
    stats: async () => JSON.parse(await ask('stats')) as StatsReport,
    tasks: async () => (JSON.parse(await ask('tasks')) as { tasks: ListedTask[] }).tasks,
    async record() {
      const lines = (await ask('record')).split('\n').filter(Boolean);
      return lines.map((one) => JSON.parse(one) as AcceptedCreate);
    },
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}
