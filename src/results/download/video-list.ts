import type { PlacedVideo, VideoView } from '../../ledger/tasks/downloads.ts';
import { formatSize } from '../../core/units.ts';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { messageOf, VidbatchError } from '../../core/errors.ts';
import { csvCell } from '../../core/text.ts';
import { tellUtc, type TellTime } from '../../core/time/tell-time.ts';
import { writeText } from '../../manifest/export-format.ts';

/**
 * The state of a row's video, for people. `waiting`: it may still come; `ready`: it can be fetched; `none`: it will not come
 * by itself, because the row was not accepted or its task failed.
 */
type VideoState = 'downloaded' | 'failed' | 'expired' | 'ready' | 'waiting' | 'none';

export const VIDEO_STATES: readonly VideoState[] = [
  'downloaded',
  'failed',
  'expired',
  'ready',
  'waiting',
  'none',
];

function videoState(row: Pick<VideoView, 'state' | 'providerStatus' | 'download'>): VideoState {
  if (row.download !== null && row.download !== 'fetching') return row.download;
  if (row.state === 'pending' || row.state === 'submitting') return 'waiting';
  if (row.state !== 'submitted') return 'none';
  if (row.providerStatus === 'completed') return 'ready';
  return row.providerStatus === 'failed' || row.providerStatus === 'missing' ? 'none' : 'waiting';
}

export interface VideoTotals {
  counts: Record<VideoState, number>;
  /** The size of the downloaded videos. */
  bytes: number;
}

export function noTotals(): VideoTotals {
  return { counts: { downloaded: 0, failed: 0, expired: 0, ready: 0, waiting: 0, none: 0 }, bytes: 0 };
}

/** A row of the list, and of `--json`. */
export function videoJson(row: VideoView): Record<string, string | number | null> {
  const there = row.download === 'downloaded';
  return {
    row_key: row.key,
    state: videoState(row),
    file: there ? row.file : null,
    bytes: there ? row.bytes : null,
    sha256: there ? row.sha256 : null,
    type: there ? row.type : null,
    task_id: row.taskId,
    code: row.code,
    reason: row.reason,
    at: row.at?.toISOString() ?? null,
  };
}

/** `downloaded, desk:/videos/text/shot-007.mp4, 4.2 MB, sha256 1e6b…, 2026-11-26T10:00:00.000Z` */
export function formatVideo(
  { host, path, state, file, bytes, sha256, code, reason, at }: PlacedVideo,
  tell: TellTime = tellUtc,
): string {
  const place = `${host}:${path}${state === 'downloaded' ? `/${file}` : ''}`;
  const known = state === 'downloaded' ? [formatSize(bytes ?? 0), `sha256 ${sha256}`] : [code, reason];
  return [state, place, ...known.filter((part) => part !== null), tell(at)].join(' · ');
}

/** Says which file belongs to which row, for people. It is replaced each time, and vidbatch never reads it. */
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

/**
 * Writes the list into the folder, in input order. Returns how many rows are in each state, and the size of the videos.
 */
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
    // A new file under both names. What is there, also a link, is replaced and never written through.
    await rm(`${path}.new`, { force: true });
    await pipeline(Readable.from(lines()), createWriteStream(`${path}.new`, { flags: 'wx', flush: true }));
    await rename(`${path}.new`, path);
  } catch (cause) {
    if (cause instanceof VidbatchError) throw cause;
    throw new VidbatchError('DISK', `${path}: ${messageOf(cause)}`, {
      cause,
      hint: 'The videos are there. Correct the cause, and run the same command again: it writes the list.',
    });
  }
  return totals;
}

/** A spreadsheet must not run a row key as a formula, and a key that is read back must be the same. */
function cell(value: string | number): string {
  return csvCell(typeof value === 'number' ? String(value) : writeText(value));
}
