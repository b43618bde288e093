import type { Command } from 'commander';
import type { Produced } from '../../batch/producer.ts';
import type { Config } from '../../core/config.ts';
import { EXIT, messageOf, type ExitCode } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { parseCount } from '../../core/units.ts';
import { countProof, countStates } from '../../ledger/batches.ts';
import { ensureProvider } from '../../ledger/send/provider.ts';
import { columnsJson } from '../../manifest/columns.ts';
import { formatProof } from '../../operate/summary.ts';
import { openApp, type App } from '../../worker/app.ts';
import { fill } from '../../worker/feeder.ts';
import { MOST_ROWS } from '../../worker/queue/chunk.ts';
import { queueName } from '../../worker/queue/name.ts';
import { openQueue } from '../../worker/queue/queue.ts';
import { configOf, flag, foreignFlag, globalFlags, isOn, listFlag, providerFlags } from '../flags/flags.ts';
import { formatProduced, importManifests, openNamed } from './import-manifests.ts';
import { keepHeapSmall, type Io } from '../output/io.ts';
import { logOf } from '../log.ts';
import { manifestFlags, produceOptions, type ManifestFlags } from '../flags/manifest.ts';

type SubmitFlags = ManifestFlags & { queueDepth: string };

export function submitCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('submit <manifest...>')
    .description('bring manifests into the ledger and the queue; workers send them')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch submit jobs/text.csv
  $ vidbatch submit - --format jsonl --batch tonight < rows.jsonl
  $ vidbatch submit jobs/text.csv --prune      rows gone from the file are cancelled
  $ vidbatch submit jobs/text.csv --canary 5 --halt-on-failure 5%
  $ vidbatch submit jobs/text.csv --prices prices.json --budget 120CNY      a higher one later: the same again`,
    )
    .action(async (manifests: string[], flags: SubmitFlags) => exit(await submit(manifests, flags, io)));
  foreignFlag(manifestFlags(providerFlags(globalFlags(command))));
  flag(command, '--queue-depth <n>', 'rows in the queue at a time', '1000');
  listFlag(command, '--rate <rate>', 'of the workers, to see whether the deadline can be met, such as 10/s');
}

async function submit(manifests: string[], flags: SubmitFlags, io: Io): Promise<ExitCode> {
  keepHeapSmall();
  const config = configOf(flags);
  const depth = parseCount('--queue-depth', flags.queueDepth, 1, 100_000);
  const options = await produceOptions(flags, manifests, config, io);
  const named = await openNamed(manifests, options);
  const app = await openApp(config, 'writer');
  try {
    const produced = await importManifests(app.db, named, options, io);
    for (const one of produced) io.out(isOn(flags.json) ? JSON.stringify(toJson(one)) : formatProduced(one));
    await fillQueue(app, config, depth, logOf(flags, 'warn'));
    if (!isOn(flags.json)) await printProof(app, produced, io);
    return EXIT.ok;
  } finally {
    await app.close();
  }
}

/** Explains why the queue now has a job for only one row of the batch. */
async function printProof(app: App, produced: readonly Produced[], io: Io): Promise<void> {
  for (const { batch } of produced) {
    const { pending } = await countStates(app.db, batch.id);
    const proof = formatProof(await countProof(app.db, batch.id), pending);
    if (proof !== undefined) io.err(`${batch.name}: ${proof}`);
  }
}

/** The board shows jobs before a worker runs. A failure costs nothing, because the ledger has the rows. */
async function fillQueue(app: App, config: Config, depth: number, log: Logger): Promise<void> {
  if (config.baseUrl === undefined) return;
  const queue = openQueue(app.store, queueName(app.ledgerId, null));
  try {
    await ensureProvider(app.db, config.baseUrl);
    const scope = { origin: config.baseUrl, batches: null };
    // One chunk only: a worker needs about a second for it, so later jobs do not wait long behind it.
    const most = Math.min(depth, MOST_ROWS);
    await fill({ db: app.db, queue, scope, pace: { size: () => most, ahead: () => most } });
  } catch (error) {
    log.warn(
      { event: 'fill-failed', error: messageOf(error) },
      'the queue was not filled; the next worker fills it',
    );
  } finally {
    await queue.close();
  }
}

function toJson({ batch, columns, ...numbers }: Produced): Record<string, unknown> {
  return { batch: batch.name, source: batch.source, ...numbers, ...columnsJson(columns) };
}
