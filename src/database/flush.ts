import { open } from 'node:fs/promises';

/** Flushes a file or a folder to its disk. A new or renamed file is on the disk only when its folder is, too. */
export async function flush(path: string, flags: 'r' | 'w' = 'r'): Promise<void> {
  const handle = await open(path, flags, 0o600);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
