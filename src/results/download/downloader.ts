import { join } from 'node:path';
import type { Agent } from 'undici';
import type { Batch } from '../../ledger/batches.ts';
import type { Database } from '../../database/database.ts';
import {
  forgetVideo,
  readKeys,
  recordBegun,
  recordDownloaded,
  recordNotHad,
  recordWhole,
  renewUrl,
  readWholeVideos,
  readWantedVideos,
  type Folder,
  type KnownVideo,
  type Wanted,
} from '../../ledger/tasks/downloads.ts';
import type { VideoAsker } from '../../provider/asker.ts';
import { removeFile, sha256Of, sizeOf, UnusableName } from './disk.ts';
import { BaseNames } from './file-name.ts';
import { fetchVideo, type Fetched, type FetchOptions, type Renewed } from './video.ts';

export interface DownloaderOptions {
  db: Database;
  batch: Pick<Batch, 'id' | 'origin' | 'profileId'>;
  folder: Folder;
  client: Agent;
  /** It is asked for another URL, and gives out videos itself; undefined: no provider can be asked. */
  provider: VideoAsker | undefined;
  concurrency: number;
  maxBytes: number;
  idleMs: number;
  /** The most tries in a row for one video that bring nothing new. */
  tries: number;
  signal: AbortSignal;
  onBytes?: (bytes: number) => void;
  random?: () => number;
  onFetched?: (row: Wanted, fetched: Exclude<Fetched, { kind: 'stopped' }>) => void;
}

/** A video that failed and may succeed later is tried in this many rounds, with this much time between the first two. */
const ROUNDS = 4;
const ROUND_MS = 60_000;

/** Downloads the videos of a batch into a folder that only this process uses. */
export class Downloader {
  readonly #options: DownloaderOptions;
  readonly #names = new BaseNames();
  /** Rows for which this process can do no more. */
  readonly #over = new Set<number>();
  readonly #later = new Map<number, { rounds: number; at: number }>();

  constructor(options: DownloaderOptions) {
    this.#options = options;
  }

  /**
   * Compares what the ledger knows with what is in the folder. A file that is gone is fetched again; a file that has changed
   * is left alone. Call it once, before the first pass.
   */
  async check(onChecked?: (rows: number) => void): Promise<void> {
    const { db, folder, signal } = this.#options;
    let checked = 0;
    for await (const video of readWholeVideos(db, folder.id)) {
      if (signal.aborted) return;
      const place = { folderId: folder.id, id: video.id, taskId: video.taskId };
      const known = video.state === 'downloaded';
      const found = await this.#look(video);
      if (found === 'same' && !known) await recordDownloaded(db, place, video);
      else if (found === 'gone' && known) await forgetVideo(db, folder.id, video.id);
      else if (typeof found === 'object') {
        this.#over.add(video.id);
        await recordNotHad(db, place, { state: 'failed', ...found });
      }
      checked += 1;
      onChecked?.(checked);
    }
  }

  /** What is there under the name of a video that was whole; an object says why its row has no video. */
  async #look(video: KnownVideo): Promise<'same' | 'gone' | { code: string; reason: string }> {
    const { folder } = this.#options;
    const path = join(folder.path, video.file);
    try {
      const size = await sizeOf(path);
      if (size === undefined) return 'gone';
      if (size === video.bytes && (video.state === 'downloaded' || (await sha256Of(path)) === video.sha256)) {
        // A crash between link and unlink leaves both names.
        await removeFile(join(folder.path, `${withoutExtension(video.file)}.part`));
        return 'same';
      }
    } catch (error) {
      if (error instanceof UnusableName) return { code: error.code, reason: error.message };
      throw error;
    }
    const reason = `${video.file} has changed since its download; move it away, and run this command again`;
    return { code: 'FILE_CHANGED', reason };
  }

  /** Fetches every video that is there now. Returns how many rows may succeed in a later pass. */
  async pass(): Promise<number> {
    const { db, batch, concurrency, signal } = this.#options;
    for await (const key of readKeys(db, batch.id, this.#names.last)) this.#names.add(key);
    const failing = new AbortController();
    const both = AbortSignal.any([signal, failing.signal]);
    const rows = this.#wanted(both);
    const work = async (): Promise<void> => {
      for (let next = await rows.next(); next.done !== true; next = await rows.next()) {
        if (both.aborted) return;
        await this.#fetch(next.value, both);
      }
    };
    const workers = Array.from({ length: concurrency }, () =>
      work().catch((error: unknown) => {
        // A full disk or a lost ledger stops every download.
        failing.abort();
        throw error;
      }),
    );
    const ends = await Promise.allSettled(workers);
    const broken = ends.find((end) => end.status === 'rejected');
    if (broken !== undefined) throw broken.reason;
    return [...this.#later.keys()].filter((id) => !this.#over.has(id)).length;
  }

  async *#wanted(signal: AbortSignal): AsyncGenerator<Wanted> {
    const { db, batch, folder } = this.#options;
    for await (const row of readWantedVideos(db, { batchId: batch.id, folderId: folder.id })) {
      if (signal.aborted) return;
      const laterAt = this.#later.get(row.id)?.at ?? 0;
      if (!this.#over.has(row.id) && laterAt <= performance.now()) yield row;
    }
  }

  async #fetch(row: Wanted, signal: AbortSignal): Promise<void> {
    const { db, folder, onFetched } = this.#options;
    const place = { folderId: folder.id, id: row.id, taskId: row.taskId };
    const options: FetchOptions = {
      ...this.#options,
      headersFor: (url) => this.#headersFor(url),
      folder: folder.path,
      baseName: this.#names.of(row),
      signal,
      renew: () => this.#renew(row),
      onBegun: (part) => recordBegun(db, place, part),
      onWhole: (video) => recordWhole(db, place, video),
    };
    const fetched = await fetchVideo(row, options).catch(ofItsName);
    if (fetched.kind === 'stopped') return;
    if (fetched.kind === 'downloaded') await recordDownloaded(db, place, fetched);
    else await recordNotHad(db, place, { state: fetched.kind, code: fetched.code, reason: fetched.reason });
    this.#note(row.id, fetched);
    onFetched?.(row, fetched);
  }

  async #headersFor(url: string): Promise<Readonly<Record<string, string>>> {
    const { batch, provider } = this.#options;
    return (await provider?.headersFor(url, batch)) ?? {};
  }

  #note(id: number, fetched: Fetched): void {
    const rounds = (this.#later.get(id)?.rounds ?? 0) + 1;
    const again = fetched.kind === 'failed' && fetched.again && rounds < ROUNDS;
    if (again) this.#later.set(id, { rounds, at: performance.now() + ROUND_MS * rounds });
    else this.#over.add(id);
  }

  async #renew({ id, taskId, url, queryUrl }: Wanted): Promise<Renewed> {
    const { db, batch, provider } = this.#options;
    if (provider === undefined) {
      return {
        kind: 'unknown',
        reason: 'no provider could be asked for another URL: VIDBATCH_API_KEY is not set',
      };
    }
    if (provider.origin !== batch.origin) {
      return { kind: 'unknown', reason: `only ${batch.origin ?? 'its provider'} can give another URL` };
    }
    const report = await provider.query(taskId, { profileId: batch.profileId, queryUrl });
    if (report.kind === 'transient') {
      return { kind: 'unknown', reason: `the provider was asked for another URL: ${report.message}` };
    }
    if (report.kind === 'missing')
      return { kind: 'none', reason: 'the provider does not know the task any more' };
    if (report.status !== 'completed')
      return { kind: 'none', reason: `the provider calls it ${report.status} now` };
    if (report.resultUrl === undefined) return { kind: 'none', reason: 'the provider gives no other URL' };
    if (report.resultUrl !== url) await renewUrl(db, { id, taskId }, report.resultUrl, report.urlExpiry);
    return { kind: 'url', url: report.resultUrl };
  }
}

/** A name that cannot be used fails one video; every other error ends the command. */
function ofItsName(error: unknown): Fetched {
  if (!(error instanceof UnusableName)) throw error;
  return { kind: 'failed', code: error.code, reason: error.message, again: false };
}

function withoutExtension(file: string): string {
  return file.replace(/\.[^.]+$/, '');
}
