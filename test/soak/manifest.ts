import { promptOf } from './verdict.ts';

/** A manifest that grows while it is worked on: each producer finds more rows in it than the one before. */
export interface GrowingManifest {
  batch: string;
  file: string;
  rows: number;
  /** As many rows as it has by the `turn`-th producer, from 0; all of them at the last. */
  textAt: (turn: number) => string;
  prompts: () => Map<string, string>;
}

export function growing(batch: string, rows: number, turns: number): GrowingManifest {
  const keys = Array.from({ length: rows }, (_, at) => `r${String(at + 1).padStart(6, '0')}`);
  return {
    batch,
    file: `${batch}.csv`,
    rows,
    textAt(turn) {
      const shown = turn >= turns ? rows : Math.ceil((rows * (turn + 1)) / (turns + 1));
      const lines = keys.slice(0, shown).map((key) => `${key},viduq3p-720p,"${promptOf(batch, key)}"\n`);
      return `id,model,prompt\n${lines.join('')}`;
    },
    prompts: () => new Map(keys.map((key) => [key, promptOf(batch, key)])),
  };
}
