import type { StorageKind } from '../contract/storages.ts';
import type { RuleInput } from '../../src/simulator/fault-rules.ts';

/** In input order. What a row meets is in its prompt: once for `busy` and `full`, always for `lost` and `rude`. */
const WEATHER = ['fine', 'fine', 'busy', 'full', 'lost', 'rude'] as const;

const FAULT_OF = {
  /** 503 model_not_found: not accepted, tried again after a backoff. */
  busy: { fault: 'status-503-model-not-found', times: 1 },
  /** 429: not accepted, everybody waits. */
  full: { fault: 'throttle', times: 1 },
  /** Accepted, and the answer breaks off before the task id. */
  lost: { fault: 'reset-in-answer:created' },
  /** 400: refused for what it says, until somebody takes it up again. */
  rude: { fault: 'policy', times: 1 },
} as const;

/** Calls that a stormy batch takes when nothing dies: each row once, and two of them a second time. */
export const CALLS = WEATHER.length + 2;

/**
 * `stormy`: one answer is lost, and once everybody has to wait. Not in every batch: five losses in a row halt the
 * provider, and waiting takes its time.
 */
function promptsOf(batch: string, kind: StorageKind, stormy: boolean): string[] {
  return WEATHER.map((weather, index) => {
    const met = (weather === 'lost' || weather === 'full') && !stormy ? 'fine' : weather;
    return `[${batch} on ${kind}] shot ${index + 1} ${met}`;
  });
}

/** The answer to this row is lost whatever the program does. */
export function isLost(prompt: string): boolean {
  return prompt.endsWith(' lost');
}

/** A small manifest in which most things happen, and the rules by which the simulator makes them happen. */
export function mixed(
  batch: string,
  kind: StorageKind,
  stormy: boolean,
): { csv: string; prompts: string[]; rules: RuleInput[] } {
  const prompts = promptsOf(batch, kind, stormy);
  const lines = prompts.map((prompt, index) => `${batch}-${index + 1},viduq3p-720p,${prompt}\n`);
  const rules = prompts.flatMap((prompt, index): RuleInput[] => {
    const weather = WEATHER[index];
    if (weather === undefined || !prompt.endsWith(weather) || weather === 'fine') return [];
    const { fault, ...match } = FAULT_OF[weather];
    return [{ fault, match: { prompt, ...match } }];
  });
  return { csv: `id,model,prompt\n${lines.join('')}`, prompts, rules };
}
