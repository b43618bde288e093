import type { VideoView } from '../ledger/download.ts';

/**
 * Where a row's video stands, for a person. `waiting`: it may still come; `ready`: it can be fetched; `none`: it will not
 * come by itself, because the row was not accepted, or its task failed.
 */
export type VideoState = 'downloaded' | 'failed' | 'expired' | 'ready' | 'waiting' | 'none';

export const VIDEO_STATES: readonly VideoState[] = [
  'downloaded',
  'failed',
  'expired',
  'ready',
  'waiting',
  'none',
];

export function videoState(row: Pick<VideoView, 'state' | 'providerStatus' | 'download'>): VideoState {
  if (row.download !== null && row.download !== 'fetching') return row.download;
  if (row.state === 'pending' || row.state === 'submitting') return 'waiting';
  if (row.state !== 'submitted') return 'none';
  if (row.providerStatus === 'completed') return 'ready';
  return row.providerStatus === 'failed' || row.providerStatus === 'missing' ? 'none' : 'waiting';
}

export interface VideoTotals {
  counts: Record<VideoState, number>;
  /** Of what is downloaded. */
  bytes: number;
}

export function noTotals(): VideoTotals {
  return { counts: { downloaded: 0, failed: 0, expired: 0, ready: 0, waiting: 0, none: 0 }, bytes: 0 };
}

/** What is told of a row. */
export function videoJson(row: VideoView): Record<string, string | number | null> {
  return {
    row_key: row.key,
    state: videoState(row),
    file: row.download === 'downloaded' ? row.file : null,
    bytes: row.download === 'downloaded' ? row.bytes : null,
    sha256: row.download === 'downloaded' ? row.sha256 : null,
    type: row.download === 'downloaded' ? row.type : null,
    task_id: row.taskId,
    code: row.code,
    reason: row.reason,
    at: row.at?.toISOString() ?? null,
  };
}
