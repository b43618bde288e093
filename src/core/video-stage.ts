import type { State } from './states.ts';

/**
 * How far the video of a row is. The state of a row ends with its task id; a person waits for the video. Each row is in
 * exactly one stage.
 */
export const STAGES = [
  'waiting',
  'sent',
  'rendering',
  'completed',
  'downloaded',
  'failed',
  'missing',
  'uncertain',
  'rejected',
  'exhausted',
  'invalid',
  'cancelled',
  'abandoned',
] as const;

export type Stage = (typeof STAGES)[number];

export type StageCounts = Record<Stage, number>;

export function noStages(): StageCounts {
  return Object.fromEntries(STAGES.map((stage) => [stage, 0])) as StageCounts;
}

interface VideoStanding {
  state: State;
  /** The status of its task; null: the provider was not asked yet. */
  providerStatus: string | null;
  /** The video of its task is in a folder of downloads. */
  downloaded: boolean;
}

export function stageOf({ state, providerStatus, downloaded }: VideoStanding): Stage {
  if (state === 'pending') return 'waiting';
  if (state === 'submitting') return 'sent';
  if (state !== 'submitted') return state;
  if (providerStatus === 'in_progress') return 'rendering';
  if (providerStatus === 'completed') return downloaded ? 'downloaded' : 'completed';
  return providerStatus === 'failed' || providerStatus === 'missing' ? providerStatus : 'sent';
}
