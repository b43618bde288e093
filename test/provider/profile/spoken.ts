/** A row of each provider that the simulator speaks. */
export interface Spoken {
  model: string;
  /** What every row of this provider has. */
  fields: Record<string, unknown>;
  /** What the answers about a completed task of five seconds tell; undefined: they tell no cost. */
  cost?: { amount: string; unit: string };
}

export const SPOKEN: Record<string, Spoken> = {
  'new-api': { model: 'kling-v1', fields: { duration: 5 } },
  'openai-videos': { model: 'sora-2', fields: { duration: 8, extra_body: { size: '1280x720' } } },
  vidu: {
    model: 'viduq3-pro',
    fields: { duration: 5, aspect_ratio: '16:9', extra_body: { resolution: '540p' } },
    cost: { amount: '20', unit: 'credit' },
  },
  ark: {
    model: 'doubao-seedance-2-0-260128',
    fields: { duration: 5, aspect_ratio: '16:9' },
    cost: { amount: '108900', unit: 'token' },
  },
  minimax: {
    model: 'MiniMax-H3',
    fields: { duration: 5, aspect_ratio: '16:9', extra_body: { resolution: '768P' } },
    cost: { amount: '5', unit: 'second' },
  },
  openrouter: {
    model: 'google/veo-3.1',
    fields: { duration: 5, aspect_ratio: '16:9' },
    cost: { amount: '1.25', unit: 'USD' },
  },
};
