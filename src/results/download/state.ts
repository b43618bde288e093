import type { PlacedVideo, VideoView } from '../../ledger/tasks/video.ts';
import { sizeTold } from '../../core/size.ts';

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

/** `downloaded, desk:/videos/text/shot-007.mp4, 4.2 MB, sha256 1e6b…, 2026-11-26T10:00:00.000Z` */
export function videoTold({ host, path, state, file, bytes, sha256, code, reason, at }: PlacedVideo): string {
  const place = `${host}:${path}${state === 'downloaded' ? `/${file}` : ''}`;
  const known = state === 'downloaded' ? [sizeTold(bytes ?? 0), `sha256 ${sha256}`] : [code, reason];
  return [state, place, ...known.filter((part) => part !== null), at.toISOString()].join(' · ');
}
