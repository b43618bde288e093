import { join } from 'node:path';
import type { Agent } from 'undici';
import type { Batch } from '../../ledger/batch.ts';
import type { Database } from '../../database/database.ts';
import {
  forgetVideo,
  readKeys,
  recordBegun,
  recordDownloaded,
  recordNotHad,
  recordWhole,
  renewUrl,
  wholeVideos,
} from '../../ledger/tasks/download.ts';
import type { Folder, WholeVideo } from '../../ledger/tasks/download.ts';
import { FIRST_MARK, wantedVideos } from '../../ledger/tasks/wanted.ts';
import type { Wanted } from '../../ledger/tasks/wanted.ts';
import type { Provider } from '../../core/outcome.ts';
import { removeFile, sha256Of, sizeOf, UnusableName } from './disk.ts';
import { Stems } from './stem.ts';
import { fetchVideo } from './video.ts';
import type { Fetched, FetchOptions, Renewed } from './video.ts';

export interface DownloaderOptions {
  db: Database;
  batch: Pick<Batch, 'id' | 'origin'>;
  folder: Folder;
  client: Agent;
  /** Who is asked for another URL; absent: nobody can be. */
  provider: Pick<Provider, 'query' | 'origin'> | undefined;
  concurrency: number;
  maxBytes: number;
  idleMs: number;
  /** Tries in a row for one video that bring nothing new. */
  tries: number;
  signal: AbortSignal;
  onBytes?: (bytes: number) => void;
  random?: () => number;
  onFetched?: (row: Wanted, fetched: Exclude<Fetched, { kind: 'stopped' }>) => void;
}

const KEYS = 5_000;
const PAGE = 1_000;
/** Of a video that may go better later, while one process watches: its rounds, and the least time between them. */
const ROUNDS = 4;
const ROUND_MS = 60_000;

/** Brings the videos of a batch into a folder that is this process's alone. */
export class Downloader {
  readonly #options: DownloaderOptions;
  readonly #stems = new Stems();
  /** Rows with which this process has done what it can. */
  readonly #over = new Set<number>();
  readonly #later = new Map<number, { rounds: number; at: number }>();

  constructor(options: DownloaderOptions) {
    this.#options = options;
  }

  /**
   * Holds what the ledger knows against what is in the folder: a file that is gone is fetched again; one that is another
   * by now is left alone. To be called once, before the first pass.
   */
  async check(onChecked?: (rows: number) => void): Promise<void> {
    const { db, folder, signal } = this.#options;
    let after = -1;
    let checked = 0;
    for (;;) {
      const videos = await wholeVideos(db, folder.id, after, PAGE);
      for (const video of videos) {
        if (signal.aborted) return;
        after = video.id;
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
      if (videos.length < PAGE) return;
    }
  }

  /** What stands under the name of a whole video now; or why its row has none. */
  async #look(
    video: WholeVideo & { state: string },
  ): Promise<'same' | 'gone' | { code: string; reason: string }> {
    const { folder } = this.#options;
    const path = join(folder.path, video.file);
    try {
      const size = await sizeOf(path);
      if (size === undefined) return 'gone';
      if (size === video.bytes && (video.state === 'downloaded' || (await sha256Of(path)) === video.sha256)) {
        // Whoever was killed between the two names of a file left it both.
        await removeFile(join(folder.path, `${withoutExtension(video.file)}.part`));
        return 'same';
      }
    } catch (error) {
      if (error instanceof UnusableName) return { code: error.code, reason: error.message };
      throw error;
    }
    const reason = `${video.file} is no longer what was downloaded; move it away, and run this again`;
    return { code: 'FILE_CHANGED', reason };
  }

  /** Fetches every video that is to be had now. Returns how many rows may go better in a later pass. */
  async pass(): Promise<number> {
    await this.#learnNames();
    const { concurrency, signal } = this.#options;
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
        // Of one disk or ledger, all of them make use.
        failing.abort();
        throw error;
      }),
    );
    const ends = await Promise.allSettled(workers);
    const broken = ends.find((end) => end.status === 'rejected');
    if (broken !== undefined) throw broken.reason;
    return [...this.#later.keys()].filter((id) => !this.#over.has(id)).length;
  }

  async #learnNames(): Promise<void> {
    const { db, batch } = this.#options;
    for (;;) {
      const keys = await readKeys(db, batch.id, this.#stems.last, KEYS);
      for (const key of keys) this.#stems.add(key);
      if (keys.length < KEYS) return;
    }
  }

  async *#wanted(signal: AbortSignal): AsyncGenerator<Wanted> {
    const { db, batch, folder } = this.#options;
    let after = FIRST_MARK;
    for (;;) {
      const rows = await wantedVideos(db, { batchId: batch.id, folderId: folder.id }, after, PAGE);
      const now = performance.now();
      for (const row of rows) {
        if (signal.aborted) return;
        after = row;
        if (!this.#over.has(row.id) && (this.#later.get(row.id)?.at ?? 0) <= now) yield row;
      }
      if (rows.length < PAGE) return;
    }
  }

  async #fetch(row: Wanted, signal: AbortSignal): Promise<void> {
    const { db, folder, onFetched } = this.#options;
    const place = { folderId: folder.id, id: row.id, taskId: row.taskId };
    const options: FetchOptions = {
      ...this.#options,
      folder: folder.path,
      stem: this.#stems.of(row),
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

  #note(id: number, fetched: Fetched): void {
    const rounds = (this.#later.get(id)?.rounds ?? 0) + 1;
    const again = fetched.kind === 'failed' && fetched.again && rounds < ROUNDS;
    if (again) this.#later.set(id, { rounds, at: performance.now() + ROUND_MS * rounds });
    else this.#over.add(id);
  }

  async #renew({ id, taskId, url }: Wanted): Promise<Renewed> {
    const { db, batch, provider } = this.#options;
    if (provider === undefined) {
      return { kind: 'unknown', reason: 'nobody could be asked for another: VIDBATCH_API_KEY is not set' };
    }
    if (provider.origin !== batch.origin) {
      return { kind: 'unknown', reason: `another is to be had from ${batch.origin ?? 'its provider'} alone` };
    }
    const report = await provider.query(taskId);
    if (report.kind === 'transient') {
      return { kind: 'unknown', reason: `the provider was asked for another: ${report.message}` };
    }
    if (report.kind === 'missing')
      return { kind: 'none', reason: 'the provider does not know the task any more' };
    if (report.status !== 'completed')
      return { kind: 'none', reason: `the provider calls it ${report.status} now` };
    if (report.resultUrl === undefined) return { kind: 'none', reason: 'the provider gives no other' };
    if (report.resultUrl !== url) await renewUrl(db, { id, taskId }, report.resultUrl, report.urlExpiry);
    return { kind: 'url', url: report.resultUrl };
  }
}

/** A name that cannot be used is the fault of one video; everything else ends the command. */
function ofItsName(error: unknown): Fetched {
  if (!(error instanceof UnusableName)) throw error;
  return { kind: 'failed', code: error.code, reason: error.message, again: false };
}

function withoutExtension(file: string): string {
  return file.replace(/\.[^.]+$/, '');
}
