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

export interface MemoryCase {
  storage: 'redis and postgres' | 'embedded';
  /** Of the manifest. */
  rows: number;
}

/** Minutes each. */
export const LARGE: readonly MemoryCase[] = [
  { storage: 'embedded', rows: 100_000 },
  { storage: 'redis and postgres', rows: 1_000_000 },
];

/** What `submit` and then `work --drain` need at most. */
export async function* measureMemory(
  stage: Stage,
  { storage, rows }: MemoryCase,
): AsyncGenerator<MemoryResult> {
  for await (const { command, peakBytes } of peaks(stage, storage, rows)) {
    yield { command, storage, rows, peakBytes };
  }
}
