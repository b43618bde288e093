import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import type { AcceptedCreate, StatsReport } from '../../src/simulator/record.ts';
import type { RuleInput } from '../../src/simulator/fault-rules.ts';
import type { SettingsPatch } from '../../src/simulator/settings.ts';
import { jsonLines, openCli } from '../cli.ts';

/** The simulator in a process of its own, reached over HTTP only. */
export interface SimulatorProcess {
  url: string;
  /** Every create that it accepted, from its file: also those whose answer was lost. */
  accepted: () => AcceptedCreate[];
  stats: () => Promise<StatsReport>;
  configure: (change: SettingsPatch) => Promise<void>;
  addRule: (rule: RuleInput) => Promise<void>;
  clearRules: () => Promise<void>;
  close: () => Promise<void>;
}

export async function startSimulatorProcess(...flags: string[]): Promise<SimulatorProcess> {
  const cli = await openCli();
  const record = join(cli.folder, 'accepted.jsonl');
  const latency = flags.includes('--latency') ? [] : ['--latency', '1ms-5ms'];
  const running = cli.start(['simulate', '--port', '0', '--json', '--record', record, ...latency, ...flags]);
  const url = await running.prints(/^\{"url":/).then((line) => (JSON.parse(line) as { url: string }).url);
  const ask = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await fetch(`${url}/control/${path}`, { method, ...sent });
    const answer: unknown = await response.json();
    assert.equal(response.status, 200, JSON.stringify(answer));
    return answer;
  };
  return {
    url,
    accepted() {
      const text = readFileSync(record, 'utf8');
      // The simulator may be in the middle of a line.
      return jsonLines<AcceptedCreate>(text.slice(0, text.lastIndexOf('\n') + 1));
    },
    stats: async () => (await ask('GET', 'stats')) as StatsReport,
    configure: async (change) => void (await ask('POST', 'settings', change)),
    addRule: async (rule) => void (await ask('POST', 'rules', rule)),
    clearRules: async () => void (await ask('DELETE', 'rules')),
    close: cli.close,
  };
}
