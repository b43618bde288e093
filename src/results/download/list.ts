import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { messageOf, VidbatchError } from '../../core/errors.ts';
import type { VideoView } from '../../ledger/tasks/video.ts';
import { quote } from '../../batch/export.ts';
import { writeText } from '../../manifest/export-cell.ts';
import { noTotals, videoJson, videoState } from './state.ts';
import type { VideoTotals } from './state.ts';

/** Which file is of which row, for people; written anew each time, and read by nobody of ours. */
export const LIST = 'vidbatch-videos.csv';

const COLUMNS = [
  'row_key',
  'state',
  'file',
  'bytes',
  'sha256',
  'type',
  'task_id',
  'code',
  'reason',
  'at',
] as const;

/** Writes the list into the folder, in input order. Returns what there is of each state. */
export async function writeList(folder: string, rows: AsyncIterable<VideoView>): Promise<VideoTotals> {
  const totals = noTotals();
  async function* lines(): AsyncGenerator<string> {
    yield `${COLUMNS.join(',')}\r\n`;
    for await (const row of rows) {
      totals.counts[videoState(row)] += 1;
      if (row.download === 'downloaded') totals.bytes += row.bytes ?? 0;
      const told = videoJson(row);
      yield `${COLUMNS.map((column) => cell(told[column] ?? '')).join(',')}\r\n`;
    }
  }
  const path = join(folder, LIST);
  try {
    // A file of its own under both names: whatever stands there, a link too, is replaced and never written through.
    await rm(`${path}.new`, { force: true });
    await pipeline(Readable.from(lines()), createWriteStream(`${path}.new`, { flags: 'wx', flush: true }));
    await rename(`${path}.new`, path);
  } catch (cause) {
    if (cause instanceof VidbatchError) throw cause;
    throw new VidbatchError('DISK', `${path}: ${messageOf(cause)}`, { cause });
  }
  return totals;
}

/** Row keys come from anywhere: no spreadsheet runs one, and one that is read back is what it was. */
function cell(value: string | number): string {
  return quote(typeof value === 'number' ? String(value) : writeText(value), ',');
}
