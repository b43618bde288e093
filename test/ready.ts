/**
 * `node test/ready.ts`: whether this machine has what all tests need, asked before anything that takes minutes. As root
 * on Debian, what is missing is installed.
 */
import { ensureBinaries } from './binaries.ts';

try {
  ensureBinaries(['redis', 'postgres', 'pgbouncer', 'chromium']);
} catch (error) {
  console.error(`tests: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
