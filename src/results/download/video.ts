import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WholeVideo, Wanted } from '../../ledger/tasks/downloads.ts';
import { backoffMs } from '../../core/retry-policy.ts';
import { attempt, type AttemptOptions, type Tried } from './attempt.ts';
import { giveName, partSize, removeFile } from './disk.ts';
import type { Part } from './judgement.ts';

/** How the download of a row's video ended. */
export type Fetched =
  | ({ kind: 'downloaded' } & WholeVideo)
  /** `again`: it may succeed later. */
  | { kind: 'failed'; code: string; reason: string; again: boolean }
  | { kind: 'expired'; code: string; reason: string }
  /** Interrupted; its part stays. */
  | { kind: 'stopped' };

/** What the provider says when it is asked for a completed task's URL once more. `unknown`: it could not be asked. */
export type Renewed =
  { kind: 'url'; url: string } | { kind: 'none'; reason: string } | { kind: 'unknown'; reason: string };

export interface FetchOptions extends AttemptOptions {
  /** Where its file goes, and its name there without an extension. */
  folder: string;
  baseName: string;
  /** The most tries in a row that bring nothing new. */
  tries: number;
  renew: () => Promise<Renewed>;
  /** Called when all of it is on the disk, before it gets its name. */
  onWhole: (video: WholeVideo) => Promise<void>;
  random?: () => number;
}

/** A try that brought this much resets the count of tries. */
const PROGRESS_BYTES = 1_048_576;
/** A longer wait is left to another run. */
const LONGEST_WAIT_MS = 60_000;

/** Fetches one video. It continues a part, renews a dead URL once, and names only a whole file. */
export async function fetchVideo(wanted: Wanted, options: FetchOptions): Promise<Fetched> {
  const { baseName, folder, signal, random = Math.random } = options;
  const path = join(folder, `${baseName}.part`);
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
      const fresh = renewed
        ? { kind: 'none' as const, reason: 'the new URL does not work either' }
        : await options.renew();
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

/** There is no other URL: it has expired, unless no provider could be asked. */
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
  // A server that answers with something else has not said that the video is gone.
  if (code === 'NOT_A_VIDEO') return { kind: 'failed', code, reason: told, again: false };
  return { kind: 'expired', code, reason: told };
}

/** The checksum is recorded first: after a crash the file is recognised by it. */
async function name(
  path: string,
  { extension, bytes, sha256, type }: Extract<Tried, { kind: 'whole' }>,
  { folder, baseName, onWhole }: FetchOptions,
): Promise<Fetched> {
  const video = { file: `${baseName}.${extension}`, bytes, sha256, type };
  await onWhole(video);
  if (await giveName(path, join(folder, video.file), sha256)) return { kind: 'downloaded', ...video };
  await removeFile(path);
  const reason = `${video.file} exists already, with other content; move it away, and run this command again`;
  return { kind: 'failed', code: 'FILE_EXISTS', reason, again: false };
}
