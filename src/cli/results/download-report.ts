import { relative } from 'node:path';
import { EXIT, type ExitCode } from '../../core/errors.ts';
import { formatCount, formatSize, plural } from '../../core/units.ts';
import type { Batch } from '../../ledger/batches.ts';
import type { Outstanding, VideoView } from '../../ledger/tasks/downloads.ts';
import type { HeldFolder } from '../../results/download/folder.ts';
import { VIDEO_STATES, videoJson, type VideoTotals } from '../../results/download/video-list.ts';
import type { Io } from '../output/io.ts';
import { bar, Speed, type Progress } from '../output/terminal.ts';

/** Shows how far a download is, over all passes. */
export class DownloadMeter {
  readonly #progress: Pick<Progress, 'show'>;
  readonly #speed = new Speed();
  #done = 0;
  #downloaded = 0;
  #total = 0;
  #bytes = 0;

  constructor(progress: Pick<Progress, 'show'>) {
    this.#progress = progress;
  }

  wanted(more: number): void {
    this.#total = this.#done + more;
  }

  bytes(more: number): void {
    this.#bytes += more;
    this.#show();
  }

  /** The videos that this command has downloaded. */
  get downloaded(): number {
    return this.#downloaded;
  }

  fetched(isThere: boolean): void {
    this.#done += 1;
    if (isThere) this.#downloaded += 1;
    // A task that completes during the pass is fetched in it, but was not counted before.
    this.#total = Math.max(this.#total, this.#done);
    this.#show();
  }

  waiting(outstanding: number): void {
    this.#progress.show(
      `${formatCount(this.#done)} videos  ${formatSize(this.#bytes)}  ${formatCount(outstanding)} rows may still complete`,
    );
  }

  #show(): void {
    const pace = {
      done: this.#done,
      total: this.#total,
      rate: this.#speed.measure(this.#done),
      noun: 'videos',
    };
    this.#progress.show(`${bar(pace)}  ${formatSize(this.#bytes)}`);
  }
}

/** The failures of one code that are shown. */
const EXAMPLES = 3;

const WORDS = {
  downloaded: 'downloaded',
  failed: 'failed',
  expired: 'expired',
  ready: 'not fetched',
  waiting: 'not completed yet',
  none: 'without a video',
} as const;

export function exitCodeOfVideos({ counts }: VideoTotals): ExitCode {
  return counts.failed + counts.expired > 0 ? EXIT.failedRows : EXIT.ok;
}

/**
 * The receipt: one line and the failures; with `json`, one object with every row. `rows` reads them again with each
 * call.
 */
export async function printVideos(
  {
    batch,
    folder,
    totals,
    now,
    json,
  }: { batch: Batch; folder: HeldFolder; totals: VideoTotals; now: number; json: boolean },
  rows: () => AsyncIterable<VideoView>,
  io: Io,
): Promise<void> {
  const { counts, bytes } = totals;
  if (json) {
    const head = JSON.stringify({ batch: batch.name, folder: folder.path, counts, bytes });
    await io.write(`${head.slice(0, -1)},"rows":[`);
    let separator = '';
    for await (const row of rows()) {
      if (!(await io.write(`${separator}\n${JSON.stringify(videoJson(row))}`))) return;
      separator = ',';
    }
    await io.write('\n]}\n');
    return;
  }
  if (counts.failed + counts.expired > 0) await printFailures(rows(), io);
  io.out(`${formatVideos(totals, now)} · in ${shownPath(folder.path)}`);
}

/** The path relative to the current folder, if it is below that folder. */
function shownPath(path: string): string {
  const below = relative('', path);
  return below === '' || below.startsWith('..') ? path : below;
}

/** `now`: the videos that this command has downloaded. The others were there before. */
export function formatVideos({ counts, bytes }: VideoTotals, now: number): string {
  const earlier = now === counts.downloaded ? '' : `, ${formatCount(now)} of them now`;
  return VIDEO_STATES.filter((state) => counts[state] > 0 || state === 'downloaded')
    .map(
      (state) =>
        `${formatCount(counts[state])} ${WORDS[state]}${state === 'downloaded' ? ` (${formatSize(bytes)})${earlier}` : ''}`,
    )
    .join(' · ');
}

/** What the command waits for, and which process is missing. */
export function formatOutstanding(
  { rows, pending }: Outstanding,
  there: { asks: boolean; sends: boolean },
): string[] {
  return [
    `${plural(rows, 'row')} may still complete`,
    ...(there.asks
      ? []
      : [
          'this command cannot poll their tasks: run `vidbatch reconcile --watch`, or set VIDBATCH_BASE_URL and VIDBATCH_API_KEY of their provider',
        ]),
    ...(there.sends || pending === 0
      ? []
      : [
          `no worker sends the ${plural(pending, 'pending row')}: start \`vidbatch work\`, or \`vidbatch run\` with the manifest`,
        ]),
  ];
}

/** The failures by code, with a few examples of each. */
async function printFailures(rows: AsyncIterable<VideoView>, io: Io): Promise<void> {
  const kinds = new Map<string, { times: number; examples: string[] }>();
  for await (const { key, download, code, reason } of rows) {
    if (download !== 'failed' && download !== 'expired') continue;
    const kind = kinds.get(code ?? '') ?? { times: 0, examples: [] };
    kind.times += 1;
    if (kind.examples.length < EXAMPLES) kind.examples.push(`  ${key}: ${reason}`);
    kinds.set(code ?? '', kind);
  }
  for (const [code, { times, examples }] of kinds) {
    io.err(`${plural(times, 'video')}: ${code}`);
    for (const example of examples) io.err(example);
  }
}
