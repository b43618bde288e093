import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';

/**
 * The files that initdb makes, packed: it takes 4 s of CPU and 1 GB, and makes the same files each time. The first line
 * lists them as JSON, folders without a size; their bytes follow. `npm run image` makes it anew.
 */
const IMAGE = new URL('./image.zst', import.meta.url);

export type ImageEntry = [path: string, bytes?: number];

/** Larger than the files together: unpacked in one piece, and a tenth of the time. */
const chunkSize = 64 * 1024 * 1024;

/** Makes the files of an empty database in `dir`, which is an empty folder. */
export async function unpackImage(dir: string): Promise<void> {
  const packed = await promisify(zstdDecompress)(await readFile(IMAGE), { chunkSize });
  const list = packed.indexOf('\n');
  let at = list + 1;
  for (const [path, bytes] of JSON.parse(packed.toString('utf8', 0, list)) as ImageEntry[]) {
    if (bytes === undefined) {
      await mkdir(join(dir, path), { mode: 0o700 });
      continue;
    }
    await writeFile(join(dir, path), packed.subarray(at, at + bytes), { mode: 0o600 });
    at += bytes;
  }
  await identify(dir);
}

/** In `ControlFileData` of Postgres 18, and in the long header of a log's first page. */
const ID = { control: 0, log: 24 };
const CHECKSUM = 292;

/**
 * Gives the database an identifier of its own. Postgres compares the log with it, and so refuses the log of another
 * database, which a restore may have put beside these files.
 */
async function identify(dir: string): Promise<void> {
  const id = randomBytes(8);
  const control = join(dir, 'global', 'pg_control');
  const bytes = await readFile(control);
  id.copy(bytes, ID.control);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, CHECKSUM)), CHECKSUM);
  await writeFile(control, bytes);
  for (const name of await readdir(join(dir, 'pg_wal'))) {
    if (!/^[0-9A-F]{24}$/.test(name)) continue;
    const log = await open(join(dir, 'pg_wal', name), 'r+');
    await log.write(id, 0, id.length, ID.log);
    await log.close();
  }
}

/** Castagnoli's, which Node does not have. */
function crc32c(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}
