import { readdirSync, readFileSync } from 'node:fs';

/** Of all Linux kernels that Node runs on. */
const TICK_MS = 10;

/**
 * Milliseconds of CPU that a process took so far, with its children, also those that have ended: of Postgres, all
 * connections. NaN where there is no /proc.
 */
export function cpuOf(pid: number): number {
  const own = statOf(String(pid));
  if (own === undefined) return Number.NaN;
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(statOf)
    .filter((stat) => stat?.parent === pid);
  return [own, ...children].reduce((sum, stat) => sum + (stat?.ms ?? 0), 0);
}

/** Undefined when there is no such process (any more). */
function statOf(pid: string): { parent: number; ms: number } | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the program's name, in brackets, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ms = fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) * TICK_MS, 0);
  return { parent: Number(fields[1]), ms };
}
