import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Config } from '../core/config.ts';
import { formatCount, parseCount, parseDuration, parseSize } from '../core/units.ts';
import type { Logger } from '../core/log.ts';
import type { Provider } from '../core/outcome.ts';
import { parseRate } from '../core/rate/rate-limits.ts';
import type { Batch } from '../ledger/batches.ts';
import { saveFolder, readVideos, countOutstanding, countWanted } from '../ledger/tasks/downloads.ts';
import { isFed } from '../operate/summary.ts';
import { createProvider } from '../provider/client.ts';
import { Downloader } from '../results/download/downloader.ts';
import type { DownloaderOptions } from '../results/download/downloader.ts';
import { baseNameOf } from '../results/download/file-name.ts';
import { holdFolder, othersWrite } from '../results/download/folder.ts';
import type { HeldFolder } from '../results/download/folder.ts';
import { openClient } from '../results/download/transfer.ts';
import { LIST, writeList } from '../results/download/video-list.ts';
import { POLL_TIMEOUT_MS, startPoller } from '../results/poll/poller.ts';
import type { Poller } from '../results/poll/poller.ts';
import type { LedgerApp } from '../worker/app.ts';
import { DownloadMeter, exitCodeOfVideos, printVideos, formatOutstanding } from './download-report.ts';
import {
  configOf,
  flag,
  globalFlags,
  isOn,
  logOf,
  POLL_RATE,
  providerFlags,
  warnOfKeyApart,
} from './flags.ts';
import type { GlobalFlags } from './flags.ts';
import { withReconnect } from './follow-ledger.ts';
import type { Io } from './io.ts';
import { requireBatch } from '../ledger/batches.ts';
import { ledgerOpener } from './open-ledger.ts';
import { onInterrupt } from './signals.ts';
import { logAbove, Progress } from './terminal.ts';

interface DownloadFlags extends GlobalFlags {
  folder?: string;
  watch?: boolean;
  concurrency: string;
  maxSize: string;
  idleTimeout: string;
  allowPrivate?: boolean;
  allowHost?: string;
  pollRate?: string;
}

export function downloadCommand(program: Command, io: Io, exit: (code: number) => void): void {
  const command = program
    .command('download <batch>')
    .description('completed videos into a folder, named by row key, before their URLs die')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch reconcile text && vidbatch download text
  $ vidbatch download text --folder /videos --watch --concurrency 8
  $ vidbatch download text --allow-host minio.lan:9000

A row's file is <row key>.<mp4, webm, mov …>; ${LIST} in the folder says which is of which row. A video has its
name only when all of it is there, is a video, and is on the disk. Run it again: what is missing is fetched, and a part
is continued; a file that was changed is left alone. For a dead URL the provider is asked for another, once.
--watch asks for the tasks, too, together with \`work\`, \`run\` and \`reconcile --watch\`, and ends when no more can come.

Only public addresses are connected to, whatever a name or a redirect leads to, and none is sent the API key.
--allow-private adds this machine and private networks (for \`vidbatch simulate\`, or a store at home).

Exit codes: 0 every completed video is there · 1 the disk, the ledger, or another process that downloads into the folder
  4 some videos could not be had: failed (worth another try, unless it says otherwise) or expired · 129/130/143 interrupted`,
    )
    .action(async (batch: string, flags: DownloadFlags) => exit(await download(batch, flags, io)));
  flag(providerFlags(globalFlags(command)), '--folder <folder>', 'where they go (default: <batch>.videos)');
  flag(command, '--watch', 'goes on while tasks complete, until no more can come');
  flag(command, '--concurrency <n>', 'videos at a time', '4');
  flag(command, '--max-size <size>', 'of one video; a larger one is refused', '1GB');
  flag(command, '--idle-timeout <duration>', 'for which a server may bring nothing', '30s');
  flag(command, '--allow-private', 'connect to this machine and private networks');
  flag(command, '--allow-host <hosts>', 'connect to these, whatever their addresses: host[:port], by commas');
  flag(command, ...POLL_RATE);
}

/** Tries in a row for one video that bring nothing new. */
const TRIES = 5;
const LOOK_MS = 3_000;
const POLLS_AT_A_TIME = 8;

/** What one command works with, whichever way the ledger is open. */
interface Task extends Pick<
  DownloaderOptions,
  'client' | 'concurrency' | 'maxBytes' | 'idleMs' | 'onBytes' | 'onFetched'
> {
  name: string;
  folder: (ledgerId: string, batch: Batch) => HeldFolder;
  provider: Provider | undefined;
  watch: boolean;
  pollIntervalMs: number | undefined;
  json: boolean;
  log: Logger;
  progress: Progress;
  meter: DownloadMeter;
}

async function download(name: string, flags: DownloadFlags, io: Io): Promise<number> {
  const config = configOf(flags);
  const concurrency = parseCount('--concurrency', flags.concurrency, 1, 100);
  const idleMs = parseDuration('--idle-timeout', flags.idleTimeout);
  const maxBytes = parseSize('--max-size', flags.maxSize);
  const pollIntervalMs = flags.pollRate === undefined ? undefined : parseRate('--poll-rate', flags.pollRate);
  const reach = {
    allowPrivate: isOn(flags.allowPrivate),
    allowHosts: flags.allowHost?.split(/[\s,]+/).filter(Boolean) ?? [],
  };
  const progress = new Progress(io);
  const meter = new DownloadMeter(progress);
  const client = openClient(reach, idleMs);
  const provider = providerOf(config, concurrency + POLLS_AT_A_TIME);
  if (provider !== undefined) warnOfKeyApart(config, io);
  const interrupt = onInterrupt(io.quit);
  let held: HeldFolder | undefined;
  const task: Task = {
    name,
    folder: (ledgerId, batch) =>
      (held ??= holdFolder(flags.folder ?? `${baseNameOf(batch.name)}.videos`, ledgerId, batch)),
    client,
    provider,
    concurrency,
    maxBytes,
    idleMs,
    pollIntervalMs,
    watch: isOn(flags.watch),
    json: isOn(flags.json),
    log: logOf(flags, 'warn', logAbove(progress, io)),
    progress,
    meter,
    onBytes: (bytes) => meter.bytes(bytes),
    onFetched: (_row, { kind }) => meter.fetched(kind === 'downloaded'),
  };
  try {
    const { signal } = interrupt;
    const code = await withReconnect(
      config,
      task.log,
      signal,
      ledgerOpener(config, io, task.log),
      (app, moving) => fetchAll(app, task, moving, io),
    );
    return code === undefined || signal.aborted ? await interrupt.happened : code;
  } finally {
    interrupt.dispose();
    progress.clear();
    held?.release();
    await client.destroy();
    await provider?.close();
  }
}

/** Nobody needs a key to fetch what is public: without one, tasks are not asked for, nor other URLs. */
function providerOf({ baseUrl, apiKey, codes }: Config, connections: number): Provider | undefined {
  if (baseUrl === undefined || apiKey === undefined) return undefined;
  return createProvider({ baseUrl, apiKey, timeoutMs: POLL_TIMEOUT_MS, connections, codes });
}

async function fetchAll(app: LedgerApp, task: Task, signal: AbortSignal, io: Io): Promise<number> {
  const { db } = app;
  const batch = await requireBatch(db, task.name);
  const folder = task.folder(app.ledgerId, batch);
  await saveFolder(db, folder);
  const others = othersWrite(folder.path);
  if (others !== undefined) {
    task.progress.above(
      `${folder.path}: ${others}: files there may not be what was downloaded; \`chmod go-w\` keeps others out\n`,
    );
  }
  const scope = { batchId: batch.id, folderId: folder.id };
  const downloader = new Downloader({ ...task, db, batch, folder, tries: TRIES, signal });
  const poller = task.watch ? pollerOf(app, batch, task) : undefined;
  try {
    await downloader.check((rows) => task.progress.show(`${formatCount(rows)} files looked at`));
    for (let told = false; ;) {
      // Before the look at what is completed: what completes in between is fetched in the next pass.
      const outstanding = await countOutstanding(db, batch.id);
      task.meter.wanted(await countWanted(db, scope));
      const later = await downloader.pass();
      if (!task.watch || signal.aborted || (outstanding.rows === 0 && later === 0)) break;
      if (!told && outstanding.rows > 0) {
        const there = { asks: poller !== undefined, sends: await isFed(db, batch.id) };
        for (const line of formatOutstanding(outstanding, there)) task.progress.above(`${line}\n`);
      }
      told = true;
      task.meter.waiting(outstanding.rows);
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    await poller?.stop();
  }
  // The ledger is to be given away: whoever goes on tells.
  if (app.moved?.aborted === true) return 0;
  task.progress.clear();
  const totals = await writeList(folder.path, readVideos(db, scope));
  const now = task.meter.downloaded;
  await printVideos({ batch, folder, totals, now, json: task.json }, () => readVideos(db, scope), io);
  return exitCodeOfVideos(totals);
}

/** Whoever waits for tasks asks for them, together with all others who do. */
function pollerOf(
  { db }: LedgerApp,
  batch: Batch,
  { provider, pollIntervalMs, log }: Task,
): Poller | undefined {
  if (provider === undefined || provider.origin !== batch.origin) return undefined;
  return startPoller({
    db,
    provider,
    batches: [batch.id],
    concurrency: POLLS_AT_A_TIME,
    intervalMs: pollIntervalMs,
    timeoutMs: POLL_TIMEOUT_MS,
    log,
  });
}
