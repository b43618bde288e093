import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Downloader, type DownloaderOptions } from '../../../src/results/download/downloader.ts';
import { holdFolder } from '../../../src/results/download/folder.ts';
import { openClient } from '../../../src/results/download/transfer.ts';
import type { Database } from '../../../src/database/database.ts';
import { keepProfile } from '../../../src/ledger/profiles.ts';
import { saveFolder, readVideos, type VideoView } from '../../../src/ledger/tasks/downloads.ts';
import { askerOf } from '../../../src/provider/asker.ts';
import { keptOf, rememberedProfiles } from '../../../src/provider/profile/remembered.ts';
import { createProvider } from '../../../src/provider/client.ts';
import { DEFAULT_PROFILE, loadProfile } from '../../../src/provider/profile/load.ts';
import { startSimulator, type Simulator, type SimulatorOptions } from '../../../src/simulator/server.ts';
import { makeBatch } from '../../contract/rows.ts';

export const SIZE = 200_000;

/** A batch whose tasks are completed at a simulator of its own, and a folder to download into. */
export interface DownloadFixture {
  simulator: Simulator;
  batchId: number;
  folder: string;
  /** What the next downloader uses in place of the usual. */
  options: Partial<DownloaderOptions>;
  /** One command's work: what is there is checked, and what is to be had is fetched. Returns the rows by key. */
  download: () => Promise<Record<string, VideoView>>;
  /** Names in the folder, without those of our own. */
  files: () => Promise<string[]>;
}

export async function openDownload(
  t: TestContext,
  { db, ledgerId }: { db: Database; ledgerId: string },
  keys: readonly string[],
  settings: SimulatorOptions = {},
): Promise<DownloadFixture> {
  const { task, ...others } = settings;
  const life = { queuedMs: 0, runningMs: 0, resultBytes: SIZE, ...task };
  const simulator = await startSimulator({ slowMs: 500, ...others, task: life });
  const named = loadProfile(settings.profile ?? DEFAULT_PROFILE);
  const profileId = await keepProfile(db, keptOf(named));
  const provider = createProvider({ baseUrl: simulator.url, apiKey: 'sk-test', profile: named.profile });
  const folder = await mkdtemp(join(tmpdir(), 'vidbatch-videos-'));
  t.after(async () => {
    await provider.close();
    await simulator.close();
    await rm(folder, { recursive: true, force: true });
  });
  const made = await makeBatch(db, { rows: keys.length, origin: simulator.url });
  for (const [index, key] of keys.entries()) {
    const body = JSON.stringify({ model: 'viduq3p-720p', prompt: `[${key}]`, duration: 5 });
    const outcome = await provider.create(body, { idempotencyKey: key });
    const taskId = outcome.kind === 'accepted' ? outcome.taskId : '';
    const report = await provider.query(taskId);
    await db.query(
      `with named as (update vidbatch.row set row_key = $2 where id = $1)
       update vidbatch.row_state
          set previous = 'submitting', state = 'submitted', task_id = $3, submitted_at = now(),
              provider_status = 'completed', result_url = $4
        where id = $1`,
      [made.rows[index], key, taskId, report.kind === 'task' ? (report.resultUrl ?? null) : null],
    );
  }
  const fixture: DownloadFixture = {
    simulator,
    batchId: made.id,
    folder,
    options: {},
    async files() {
      return (await readdir(folder)).filter((name) => !name.startsWith('.vidbatch')).sort();
    },
    async download() {
      const held = holdFolder(folder, ledgerId, { id: made.id, name: made.name });
      const client = openClient({ allowPrivate: false, allowHosts: [new URL(simulator.url).host] }, 300);
      try {
        await saveFolder(db, held);
        const downloader = new Downloader({
          db,
          batch: { id: made.id, origin: simulator.url, profileId },
          folder: held,
          client,
          provider: askerOf(provider, rememberedProfiles(db)),
          concurrency: 4,
          maxBytes: 1_000_000,
          idleMs: 300,
          tries: 2,
          signal: new AbortController().signal,
          random: () => 0.01,
          ...fixture.options,
        });
        await downloader.check();
        await downloader.pass();
        const rows: Record<string, VideoView> = {};
        for await (const row of readVideos(db, { batchId: made.id, folderId: held.id })) rows[row.key] = row;
        return rows;
      } finally {
        held.release();
        await client.destroy();
      }
    },
  };
  return fixture;
}

/** A rule of the simulator for the video of this row. */
export function fault(simulator: Simulator, key: string, name: string, times?: number): void {
  simulator.faults.add({
    on: 'result',
    match: { prompt: `[${key}]`, ...(times === undefined ? {} : { times }) },
    fault: name,
  });
}
