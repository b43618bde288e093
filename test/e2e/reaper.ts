/**
 * Holds the numbers of processes that a test file has started: `+pid` and `-pid` on standard input. When that ends,
 * and with it the test file, in whatever way, those that are left are killed.
 */
import { createInterface } from 'node:readline';

const left = new Set<number>();
// Ctrl-C reaches the whole group; the end of the pipe is what counts.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
for await (const line of createInterface({ input: process.stdin })) {
  const pid = Number(line.slice(1));
  if (line.startsWith('+')) left.add(pid);
  else left.delete(pid);
}
for (const pid of left) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
