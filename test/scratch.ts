import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const MEMORY = '/dev/shm';
const TMPFS = 0x01021994;
const NAME = 'vidbatch-tests-';
/** Eight files at a time with some embedded ledgers of 41 MB each, and a browser. */
const LEAST_BYTES = 4 * 1024 ** 3;

/** A folder for everything that the tests write. */
export interface Scratch {
  path: string;
  remove: () => void;
}

/**
 * A folder in memory: copying an embedded ledger there takes 40 ms of processor time, and 1,000 on a disk (measured).
 * Undefined: this machine has no such file system, or too little memory, or programs may not be started from there.
 */
export function createScratch(): Scratch | undefined {
  if (process.platform !== 'linux' || process.env['TMPDIR'] !== undefined) return undefined;
  const path = join(MEMORY, `${NAME}${process.pid}`);
  const remove = (): void => rmSync(path, { recursive: true, force: true });
  try {
    const { type, bavail, bsize } = statfsSync(MEMORY);
    if (type !== TMPFS || bavail * bsize < LEAST_BYTES || process.availableMemory() < 2 * LEAST_BYTES)
      return undefined;
    removeAbandoned();
    mkdirSync(path);
    // As /tmp: some tests act as another user.
    chmodSync(path, 0o1777);
    const program = join(path, 'program');
    writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 });
    execFileSync(program);
    rmSync(program);
    return { path, remove };
  } catch {
    remove();
    return undefined;
  }
}

/** What a run left that was killed. */
function removeAbandoned(): void {
  for (const name of readdirSync(MEMORY)) {
    if (name.startsWith(NAME) && !isAlive(Number(name.slice(NAME.length))))
      rmSync(join(MEMORY, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
