import type { Stage } from './stage.ts';
import { peaks } from './vidbatch.ts';

export interface MemoryResult {
  command: string;
  storage: string;
  rows: number;
  /** The most that was resident, in bytes. */
  peakBytes: number;
}

export const MEMORY = 'memory';

/** What the two commands need at most, for a manifest of that size. */
export async function measureMemory(
  stage: Stage,
  rows: number,
  onResult: (result: MemoryResult) => void,
): Promise<void> {
  for (const storage of ['redis and postgres', 'embedded'] as const) {
    for await (const { command, peakBytes } of peaks(stage, storage, rows)) {
      onResult({ command, storage, rows, peakBytes });
    }
  }
}
