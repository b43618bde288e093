/** `npm run image`: makes the image of an empty database anew, as the PGlite of this checkout makes one. */
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { constants, zstdCompressSync } from 'node:zlib';
import { PGlite } from '@electric-sql/pglite';
import type { ImageEntry } from '../../src/database/database-files.ts';

/** A cache with addresses of the process that wrote it: the first start makes its own. */
const CACHE = 'pg_internal.init';

/** An empty log takes the place of initdb's, which would be most of the image. */
async function make(dir: string): Promise<void> {
  await (await PGlite.create(dir)).close();
  const startParams = [...PGlite.defaultStartParams, '-c', 'wal_recycle=off'];
  const database = await PGlite.create(dir, { startParams });
  await database.exec('select pg_switch_wal()');
  await database.exec('checkpoint');
  await database.close();
}

/** Equal files find each other within a window that holds all of them. */
const params = { [constants.ZSTD_c_compressionLevel]: 19, [constants.ZSTD_c_windowLog]: 25 };

async function pack(dir: string): Promise<Buffer> {
  const list: ImageEntry[] = [];
  const contents: Buffer[] = [];
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const found = entries.map((entry) => ({
    folder: entry.isDirectory(),
    path: join(entry.parentPath, entry.name),
  }));
  for (const { folder, path } of found.sort((one, other) => (one.path < other.path ? -1 : 1))) {
    if (path.endsWith(CACHE)) continue;
    const name = relative(dir, path);
    if (folder) {
      list.push([name]);
      continue;
    }
    const content = await readFile(path);
    list.push([name, content.length]);
    contents.push(content);
  }
  return zstdCompressSync(Buffer.concat([Buffer.from(`${JSON.stringify(list)}\n`), ...contents]), { params });
}

const dir = await mkdtemp(join(tmpdir(), 'vidbatch-image-'));
try {
  await make(dir);
  const image = await pack(dir);
  const file = fileURLToPath(new URL('../../src/database/image.zst', import.meta.url));
  await writeFile(file, image);
  process.stdout.write(`${file}: ${image.length} bytes\n`);
} finally {
  await rm(dir, { recursive: true });
}
