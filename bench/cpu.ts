import { readFileSync } from 'node:fs';

/** Of all Linux kernels that Node runs on. */
const TICK_MS = 10;

/**
 * Milliseconds of CPU that a process and its children that have ended took so far: of Postgres, all connections that
 * were closed. NaN where there is no /proc.
 */
export function cpuOf(pid: number): number {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return Number.NaN;
  }
  // The second field is the program's name, in brackets, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) * TICK_MS, 0);
}
