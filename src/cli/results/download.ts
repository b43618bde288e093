import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Config } from '../../core/config.ts';
import type { Logger } from '../../core/log.ts';
import { formatCount, parseCount, parseDuration, parseSize } from '../../core/units.ts';
import { requireBatch, type Batch } from '../../ledger/batches.ts';
import { saveFolder, readVideos, countOutstanding, countWanted } from '../../ledger/tasks/downloads.ts';
import { isFed } from '../../ledger/workers.ts';
import { askerOf, type Asker } from '../../provider/asker.ts';
import { rememberedProfiles } from '../../provider/profile/remembered.ts';
import { createProvider, type Provider } from '../../provider/client.ts';
import { needsNoKey } from '../../provider/target.ts';
import { Downloader, type DownloaderOptions } from '../../results/download/downloader.ts';
import { baseNameOf } from '../../results/download/file-name.ts';
import { holdFolder, othersWrite, type HeldFolder } from '../../results/download/folder.ts';
import { openClient } from '../../results/download/transfer.ts';
import { LIST, writeList } from '../../results/download/video-list.ts';
import { POLL_TIMEOUT_MS, startPoller, type Poller } from '../../results/poll/poller.ts';
import type { LedgerApp } from '../../worker/app.ts';
import { DownloadMeter, exitCodeOfVideos, printVideos, formatOutstanding } from './download-report.ts';
import {
  configOf,
  flag,
  globalFlags,
  isOn,
  parseList,
  parsePollRate,
  pollRateFlag,
  providerFlags,
  warnOfKeyApart,
  type GlobalFlags,
} from '../flags/flags.ts';
import type { Io } from '../output/io.ts';
import { logOf } from '../log.ts';
import { ledgerOpener, withReconnect } from '../open-ledger.ts';
import { onInterrupt } from '../signals.ts';
import { Progress } from '../output/terminal.ts';

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
    .description('fetch completed videos into a folder, named by row key, before their URLs expire')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch reconcile text && vidbatch download text
  $ vidbatch download text --folder /videos --watch --concurrency 8
  $ vidbatch download text --allow-host minio.lan:9000

A row's file is <row key>.<mp4, webm, mov …>; ${LIST} in the folder says which file belongs to which row. A video gets
its name only when it is complete, is a video, and is on the disk. Run the command again: it fetches missing videos and
continues partial ones; it never touches a file that was changed. For an expired URL it asks the provider once for a new
one. --watch also polls the tasks, together with \`work\`, \`run\` and \`reconcile --watch\`, and ends when no more
videos can come.

It connects to public addresses only, wherever a name or a redirect leads. It sends the API key to none of them, unless
the profile says that the provider itself gives out the videos: then to that address of the provider alone.
--allow-private adds this machine and private networks (for \`vidbatch simulate\`, or a local store).

Exit codes:
  0  every completed video is there
  1  the disk, the ledger, or another process that downloads into the folder
  4  some videos are not there: failed (worth another try, unless the reason says otherwise) or expired
  129, 130, 143  interrupted`,
    )
    .action(async (batch: string, flags: DownloadFlags) => exit(await download(batch, flags, io)));
  flag(
    providerFlags(globalFlags(command)),
    '--folder <folder>',
    'where the videos go (default: <batch>.videos)',
  );
  flag(command, '--watch', 'continue while tasks complete, until no more videos can come');
  flag(command, '--concurrency <n>', 'videos at a time', '4');
  flag(command, '--max-size <size>', 'of one video; a larger one is refused', '1GB');
  flag(command, '--idle-timeout <duration>', 'how long a server may send nothing', '30s');
  flag(command, '--allow-private', 'connect to this machine and private networks');
  flag(
    command,
    '--allow-host <hosts>',
    'connect to these hosts at any address: host[:port], separated by commas',
  );
  pollRateFlag(command);
}

/** Tries in a row for one video that bring no new bytes. */
const TRIES = 5;
/** With --watch: the time between two passes. */
const PASS_MS = 3_000;
const POLLS_AT_A_TIME = 8;

/** What one command works with, also when it opens the ledger again. */
interface DownloadJob extends Pick<
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
  const reach = {
    allowPrivate: isOn(flags.allowPrivate),
    allowHosts: parseList(flags.allowHost),
  };
  const progress = new Progress(io);
  const meter = new DownloadMeter(progress);
  const client = openClient(reach, idleMs);
  const provider = providerOf(config, concurrency + POLLS_AT_A_TIME);
  if (provider !== undefined) warnOfKeyApart(config, io);
  const interrupt = onInterrupt(io.quit);
  let held: HeldFolder | undefined;
  const job: DownloadJob = {
    name,
    folder: (ledgerId, batch) =>
      (held ??= holdFolder(flags.folder ?? `${baseNameOf(batch.name)}.videos`, ledgerId, batch)),
    client,
    provider,
    concurrency,
    maxBytes,
    idleMs,
    pollIntervalMs: parsePollRate(flags),
    watch: isOn(flags.watch),
    json: isOn(flags.json),
    log: logOf(flags, 'warn', { destination: progress }),
    progress,
    meter,
    onBytes: (bytes) => meter.bytes(bytes),
    onFetched: (_row, { kind }) => meter.fetched(kind === 'downloaded'),
  };
  try {
    const { signal } = interrupt;
    const code = await withReconnect(
      config,
      job.log,
      signal,
      ledgerOpener(config, io, job.log),
      (app, moving) => fetchAll(app, job, moving, io),
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

/** Public videos need no API key. Without a key, the command polls no tasks and gets no new URLs. */
function providerOf(config: Config, connections: number): Provider | undefined {
  const { baseUrl, apiKey, codes } = config;
  if (baseUrl === undefined || (apiKey === undefined && !needsNoKey(config))) return undefined;
  return createProvider({ baseUrl, apiKey, timeoutMs: POLL_TIMEOUT_MS, connections, codes });
}

async function fetchAll(app: LedgerApp, job: DownloadJob, signal: AbortSignal, io: Io): Promise<number> {
  const { db } = app;
  const batch = await requireBatch(db, job.name);
  const folder = job.folder(app.ledgerId, batch);
  await saveFolder(db, folder);
  const others = othersWrite(folder.path);
  if (others !== undefined) {
    job.progress.above(
      `${folder.path}: ${others}: files there may not be what was downloaded; \`chmod go-w\` keeps others out`,
    );
  }
  const scope = { batchId: batch.id, folderId: folder.id };
  const provider = job.provider && askerOf(job.provider, rememberedProfiles(db));
  const downloader = new Downloader({ ...job, provider, db, batch, folder, tries: TRIES, signal });
  const poller = job.watch ? startJobPoller(app, batch, provider, job) : undefined;
  try {
    await downloader.check((rows) => job.progress.show(`${formatCount(rows)} files looked at`));
    for (let isFirst = true; ; isFirst = false) {
      // Counted before the pass, so that a task that completes meanwhile gets another pass.
      const outstanding = await countOutstanding(db, batch.id);
      job.meter.wanted(await countWanted(db, scope));
      const later = await downloader.pass();
      if (!job.watch || signal.aborted || (outstanding.rows === 0 && later === 0)) break;
      if (isFirst && outstanding.rows > 0) {
        const there = { asks: poller !== undefined, sends: await isFed(db, batch.id) };
        for (const line of formatOutstanding(outstanding, there)) job.progress.above(line);
      }
      job.meter.waiting(outstanding.rows);
      await sleep(PASS_MS, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    await poller?.stop();
  }
  // Another process takes the ledger. The command reports when it has opened the ledger again.
  if (app.moved?.aborted === true) return 0;
  job.progress.clear();
  const totals = await writeList(folder.path, readVideos(db, scope));
  const now = job.meter.downloaded;
  await printVideos({ batch, folder, totals, now, json: job.json }, () => readVideos(db, scope), io);
  return exitCodeOfVideos(totals);
}

/** With --watch: polls the tasks, together with all other processes that poll. */
function startJobPoller(
  { db }: LedgerApp,
  batch: Batch,
  provider: Asker | undefined,
  { pollIntervalMs, log }: Pick<DownloadJob, 'pollIntervalMs' | 'log'>,
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
