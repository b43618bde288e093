import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WholeVideo } from '../../ledger/tasks/download.ts';
import type { Wanted } from '../../ledger/tasks/wanted.ts';
import { backoffMs } from '../../core/retry.ts';
import { attempt } from './attempt.ts';
import type { AttemptOptions, Tried } from './attempt.ts';
import { giveName, partSize, removeFile } from './disk.ts';
import type { Part } from './judgement.ts';

/** What became of a row's video. */
export type Fetched =
  | ({ kind: 'downloaded' } & WholeVideo)
  /** `again`: it may go better later. */
  | { kind: 'failed'; code: string; reason: string; again: boolean }
  | { kind: 'expired'; code: string; reason: string }
  /** Interrupted: its part stays. */
  | { kind: 'stopped' };

/** What the provider says when it is asked for a completed task's URL once more. `unknown`: it could not be asked. */
export type Renewed =
  { kind: 'url'; url: string } | { kind: 'none'; reason: string } | { kind: 'unknown'; reason: string };

export interface FetchOptions extends AttemptOptions {
  /** Where its file goes, and its name there without an extension. */
  folder: string;
  stem: string;
  /** Tries in a row that bring nothing new. */
  tries: number;
  renew: () => Promise<Renewed>;
  /** Called when all of it is on the disk, before it gets its name. */
  onWhole: (video: WholeVideo) => Promise<void>;
  random?: () => number;
}

/** A download that brought this much may fail again as often as any. */
const PROGRESS_BYTES = 1_048_576;
/** Longer waits are for another run. */
const LONGEST_WAIT_MS = 60_000;

/** Fetches one video: its part is continued, a dead URL is renewed once, and only what is whole gets its name. */
export async function fetchVideo(wanted: Wanted, options: FetchOptions): Promise<Fetched> {
  const { stem, folder, signal, random = Math.random } = options;
  const path = join(folder, `${stem}.part`);
  const part: Part = {
    size: await partSize(path, Date.now()),
    validator: wanted.validator,
    total: wanted.total,
  };
  let { url } = wanted;
  let renewed = false;
  for (let tries = 1; ; tries += 1) {
    const before = part.size;
    const tried: Tried =
      url === null
        ? { kind: 'dead', code: 'NO_URL', reason: 'the provider gave no URL' }
        : await attempt(url, path, part, options);
    if (tried.kind === 'whole') return name(path, tried, options);
    if (signal.aborted) return { kind: 'stopped' };
    if (tried.kind === 'refused') {
      await removeFile(path);
      return { ...tried, kind: 'failed', again: false };
    }
    if (tried.kind === 'dead') {
      const fresh = renewed ? { kind: 'none' as const, reason: 'nor is its new URL' } : await options.renew();
      renewed = true;
      if (fresh.kind !== 'url' || fresh.url === url) return notHad(tried, fresh, path);
      ({ url } = fresh);
      tries = 0;
      continue;
    }
    if (part.size >= before + PROGRESS_BYTES) tries = 0;
    const waitMs = Math.max(tried.afterMs ?? 0, backoffMs({ attempt: tries, random }));
    if (tries >= options.tries || waitMs > LONGEST_WAIT_MS) {
      return { kind: 'failed', code: tried.code, reason: tried.reason, again: true };
    }
    await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return { kind: 'stopped' };
  }
}

/** There is no other URL: it is expired, unless nobody could be asked. */
async function notHad(
  { code, reason }: Extract<Tried, { kind: 'dead' }>,
  fresh: Renewed,
  path: string,
): Promise<Fetched> {
  if (fresh.kind === 'unknown') {
    return { kind: 'failed', code, reason: `${reason}; ${fresh.reason}`, again: true };
  }
  await removeFile(path);
  const told = `${reason}; ${fresh.kind === 'none' ? fresh.reason : 'the provider gives the same URL again'}`;
  // Whoever answers with something else than a video has not said that it is gone.
  if (code === 'NOT_A_VIDEO') return { kind: 'failed', code, reason: told, again: false };
  return { kind: 'expired', code, reason: told };
}

/** Its checksum is recorded first: whoever comes after a crash knows the file by it. */
async function name(
  path: string,
  { extension, bytes, sha256, type }: Extract<Tried, { kind: 'whole' }>,
  { folder, stem, onWhole }: FetchOptions,
): Promise<Fetched> {
  const video = { file: `${stem}.${extension}`, bytes, sha256, type };
  await onWhole(video);
  if (await giveName(path, join(folder, video.file), sha256)) return { kind: 'downloaded', ...video };
  await removeFile(path);
  const reason = `${video.file} is there already, with another content; move it away, and run this again`;
  return { kind: 'failed', code: 'FILE_EXISTS', reason, again: false };
}
