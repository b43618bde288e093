import type { Check } from '../../operate/doctor/check.ts';

/** The checks of the doctor, and when they ended. */
export interface Checkup {
  checks: readonly Check[];
  at: Date;
}

/** The provider and the servers are not asked more often than this, however often the page is opened. */
const KEPT_MS = 10_000;

/** Runs `check` when it is asked to. Requests at the same time share one run, and so do those soon after it. */
export function sharedCheckup(
  check: () => AsyncIterable<Check>,
  { keptMs = KEPT_MS, now = () => performance.now() } = {},
): () => Promise<Checkup> {
  let last: { running: Promise<Checkup>; until: number } | undefined;
  return () => {
    if (last !== undefined && now() < last.until) return last.running;
    const entry = { running: run(check), until: Infinity };
    last = entry;
    entry.running.then(
      () => (entry.until = now() + keptMs),
      () => (entry.until = -Infinity),
    );
    return entry.running;
  };
}

async function run(check: () => AsyncIterable<Check>): Promise<Checkup> {
  const checks: Check[] = [];
  for await (const one of check()) checks.push(one);
  return { checks, at: new Date() };
}
