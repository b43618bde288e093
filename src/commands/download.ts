import type { Command } from 'commander';
import { setTimeout as sleep } from 'node:timers/promises';
import { openApp } from '../app.ts';
import type { App } from '../app.ts';
import { parseCount, parseDuration, parseSize, requireProvider } from '../config.ts';
import type { Config } from '../config.ts';
import { Downloader } from '../download/downloader.ts';
import { holdFolder } from '../download/folder.ts';
import type { HeldFolder } from '../download/folder.ts';
import { LIST, writeList } from '../download/list.ts';
import { VIDEO_STATES, videoJson } from '../download/state.ts';
import type { VideoTotals } from '../download/state.ts';
import { stemOf } from '../download/stem.ts';
import { openClient } from '../download/transfer.ts';
import { EXIT } from '../errors.ts';
import type { ExitCode } from '../errors.ts';
import type { Batch } from '../ledger/batch.ts';
import { countOutstanding, countWanted, noteFolder, readVideos } from '../ledger/download.ts';
import { createProvider } from '../provider/client.ts';
import { sizeTold } from '../size.ts';
import { count } from '../summary.ts';
import { batchNamed } from './batch-named.ts';
import { configOf, flag, globalFlags, isOn, providerFlags } from './io.ts';
import type { GlobalFlags, Io } from './io.ts';
import { onInterrupt } from './interrupt.ts';
import { bar, Progress, Speed } from './progress.ts';

interface DownloadFlags extends GlobalFlags {
  folder?: string;
  watch?: boolean;
  concurrency: string;
  maxSize: string;
  idleTimeout: string;
  allowPrivate?: boolean;
  allowHost?: string;
}

export function downloadCommand(program: Command, io: Io, exit: (code: number) => void): void {
  const command = program
    .command('download <batch>')
    .description('completed videos into a folder, named by row key, before their URLs die')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch download text
  $ vidbatch download text --folder /videos --watch --concurrency 8
  $ vidbatch download text --allow-host minio.lan:9000

A row's file is <row key>.<mp4, webm, mov …>; ${LIST} in the folder says which is of which row. A video has its
name only when all of it is there and on the disk. Run it again: what is missing is fetched, and a part is continued.
A file that was changed is left alone. A dead URL is asked for anew from the provider, once.

Only public addresses are connected to, and the API key is sent to none of them. --allow-private: private networks
and this machine, too.

Exit codes: 0 every completed video is there · 1 disk, ledger or another process in the folder · 4 some videos cannot be
had, now or ever`,
    )
    .action(async (batch: string, flags: DownloadFlags) => exit(await download(batch, flags, io)));
  flag(providerFlags(globalFlags(command)), '--folder <folder>', 'where they go (default: <batch>.videos)');
  flag(command, '--watch', 'goes on while tasks complete, until no more can come');
  flag(command, '--concurrency <n>', 'videos at a time', '4');
  flag(command, '--max-size <size>', 'of one video; a larger one is refused', '1GB');
  flag(command, '--idle-timeout <duration>', 'without a sign of life from the server', '30s');
  flag(command, '--allow-private', 'connect to private networks and this machine');
  flag(
    command,
    '--allow-host <hosts>',
    'connect to these whatever their addresses: host[:port], separated by commas',
  );
}

/** Tries in a row for one video that bring nothing new. */
const TRIES = 5;
const LOOK_MS = 3_000;
/** As many failures of a kind are shown. */
const EXAMPLES = 3;

async function download(name: string, flags: DownloadFlags, io: Io): Promise<number> {
  const config = configOf(flags);
  const limits = {
    concurrency: parseCount('--concurrency', flags.concurrency, 1, 100),
    maxBytes: parseSize('--max-size', flags.maxSize),
    idleMs: parseDuration('--idle-timeout', flags.idleTimeout),
  };
  const client = openClient(
    {
      allowPrivate: isOn(flags.allowPrivate),
      allowHosts: flags.allowHost?.split(/[\s,]+/).filter(Boolean) ?? [],
    },
    limits.idleMs,
  );
  const provider = providerOf(config, limits.concurrency);
  const interrupt = onInterrupt(io.quit);
  const progress = new Progress(io);
  let app: App | undefined;
  let folder: HeldFolder | undefined;
  try {
    app = await openApp(config, 'reader');
    const batch = await batchNamed(app.db, name);
    folder = holdFolder(flags.folder ?? `${stemOf(batch.name)}.videos`, app.ledgerId, batch);
    await noteFolder(app.db, folder);
    const fetching = { ...limits, tries: TRIES, db: app.db, batch, folder, client, provider };
    await fetchAll(fetching, { watch: isOn(flags.watch), signal: interrupt.signal, progress });
    progress.clear();
    const totals = await writeList(folder.path, readVideos(app.db, scopeOf(batch, folder)));
    await tell(app, { batch, folder, totals, json: isOn(flags.json) }, io);
    if (interrupt.signal.aborted) return await interrupt.happened;
    return exitCodeFor(totals);
  } finally {
    interrupt.dispose();
    progress.clear();
    folder?.release();
    await client.destroy();
    await provider?.close();
    await app?.close();
  }
}

/** Nobody needs a key to fetch what is public: without one, a dead URL cannot be renewed. */
function providerOf(config: Config, connections: number): ReturnType<typeof createProvider> | undefined {
  if (config.baseUrl === undefined || config.apiKey === undefined) return undefined;
  return createProvider({ ...requireProvider(config), connections, codes: config.codes });
}

function scopeOf(batch: Batch, folder: HeldFolder): { batchId: number; folderId: string } {
  return { batchId: batch.id, folderId: folder.id };
}

type Fetching = Omit<ConstructorParameters<typeof Downloader>[0], 'signal'> & {
  batch: Batch;
  folder: HeldFolder;
};

async function fetchAll(
  fetching: Fetching,
  { watch, signal, progress }: { watch: boolean; signal: AbortSignal; progress: Progress },
): Promise<void> {
  const { db, batch, folder } = fetching;
  const speed = new Speed();
  let [done, total, bytes] = [0, 0, 0];
  const show = (): void => {
    const rate = speed.measure(done);
    progress.show(`${bar({ done, total, rate, noun: 'videos' })}  ${sizeTold(bytes)}`);
  };
  const downloader = new Downloader({
    ...fetching,
    signal,
    onBytes: (more) => {
      bytes += more;
      show();
    },
    onFetched: () => {
      done += 1;
      show();
    },
  });
  await downloader.check((rows) => progress.show(`${count(rows)} files looked at`));
  for (;;) {
    // Before the look at what is completed: what completes in between is fetched in the next pass.
    const outstanding = await countOutstanding(db, batch.id);
    total = done + (await countWanted(db, scopeOf(batch, folder)));
    const later = await downloader.pass();
    if (!watch || signal.aborted || (outstanding === 0 && later === 0)) return;
    progress.show(`${count(done)} videos  ${sizeTold(bytes)}  ${count(outstanding)} rows may still complete`);
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}

function exitCodeFor({ counts }: VideoTotals): ExitCode {
  return counts.failed + counts.expired > 0 ? EXIT.failedRows : EXIT.ok;
}

interface Told {
  batch: Batch;
  folder: HeldFolder;
  totals: VideoTotals;
  json: boolean;
}

async function tell(app: App, { batch, folder, totals, json }: Told, io: Io): Promise<void> {
  const { counts, bytes } = totals;
  const rows = readVideos(app.db, scopeOf(batch, folder));
  if (json) {
    const head = JSON.stringify({ batch: batch.name, folder: folder.path, counts, bytes });
    await io.write(`${head.slice(0, -1)},"rows":[`);
    let separator = '';
    for await (const row of rows) {
      if (!(await io.write(`${separator}\n${JSON.stringify(videoJson(row))}`))) return;
      separator = ',';
    }
    await io.write('\n]}\n');
    return;
  }
  if (counts.failed + counts.expired > 0) await tellFailures(rows, io);
  const parts = VIDEO_STATES.filter((state) => counts[state] > 0 || state === 'downloaded').map(
    (state) =>
      `${count(counts[state])} ${TOLD[state]}${state === 'downloaded' ? ` (${sizeTold(bytes)})` : ''}`,
  );
  io.out(`${parts.join(' · ')} · in ${folder.path}`);
}

const TOLD = {
  downloaded: 'downloaded',
  failed: 'failed',
  expired: 'expired',
  ready: 'not fetched',
  waiting: 'not completed yet',
  none: 'without a video',
} as const;

/** By code, with a few examples of each. */
async function tellFailures(rows: ReturnType<typeof readVideos>, io: Io): Promise<void> {
  const kinds = new Map<string, { times: number; examples: string[] }>();
  for await (const { key, download: state, code, reason } of rows) {
    if (state !== 'failed' && state !== 'expired') continue;
    const kind = kinds.get(code ?? '') ?? { times: 0, examples: [] };
    kind.times += 1;
    if (kind.examples.length < EXAMPLES) kind.examples.push(`  ${key}: ${reason}`);
    kinds.set(code ?? '', kind);
  }
  for (const [code, { times, examples }] of kinds) {
    io.err(`${count(times)} ${times === 1 ? 'video' : 'videos'}: ${code}`);
    for (const example of examples) io.err(example);
  }
}
