import type { Command } from 'commander';
import type { Produced } from '../batch/producer.ts';
import type { Config } from '../core/config.ts';
import { EXIT, messageOf } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { parseCount } from '../core/units.ts';
import { countProof, countStates } from '../ledger/batches.ts';
import { ensureProvider } from '../ledger/send/provider.ts';
import { columnsJson } from '../manifest/columns.ts';
import { formatProof } from '../operate/summary.ts';
import { openApp } from '../worker/app.ts';
import type { App } from '../worker/app.ts';
import { fill } from '../worker/feeder.ts';
import { MOST_ROWS } from '../worker/queue/chunk.ts';
import { queueName } from '../worker/queue/name.ts';
import { openQueue } from '../worker/queue/queue.ts';
import { foreignFlag, configOf, flag, globalFlags, listFlag, logOf, providerFlags } from './flags.ts';
import { importManifests, importOptions, formatProduced, openNamed } from './import-manifests.ts';
import { keepHeapSmall } from './io.ts';
import type { Io } from './io.ts';
import { manifestFlags, produceOptions } from './manifest-flags.ts';
import type { ManifestFlags } from './manifest-flags.ts';

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
    .action(async (manifests: string[], flags: SubmitFlags) =>
      exit(await submitManifests(manifests, flags, io)),
    );
  foreignFlag(manifestFlags(providerFlags(globalFlags(command))));
  flag(command, '--queue-depth <n>', 'rows in the queue at a time', '1000');
  listFlag(command, '--rate <rate>', 'of the workers, to see whether the deadline can be met, such as 10/s');
}

async function submitManifests(manifests: string[], flags: SubmitFlags, io: Io): Promise<ExitCode> {
  keepHeapSmall();
  const config = configOf(flags);
  const depth = parseCount('--queue-depth', flags.queueDepth, 1, 100_000);
  const options = await produceOptions(flags, manifests);
  const named = await openNamed(manifests, options);
  const app = await openApp(config, 'writer');
  try {
    const produced = await importManifests(app.db, named, importOptions(options, config, io), io);
    for (const one of produced)
      io.out(flags.json === true ? JSON.stringify(toJson(one)) : formatProduced(one));
    await fillQueue(app, config, depth, logOf(flags, 'warn'));
    if (flags.json !== true) await printProof(app, produced, io);
    return EXIT.ok;
  } finally {
    await app.close();
  }
}

/** Somebody who looks at the queue now finds a job for one row of the batch. */
async function printProof(app: App, produced: readonly Produced[], io: Io): Promise<void> {
  for (const { batch } of produced) {
    const { pending } = await countStates(app.db, batch.id);
    const told = formatProof(await countProof(app.db, batch.id), pending);
    if (told !== undefined) io.err(`${batch.name}: ${told}`);
  }
}

/** So that the board shows jobs before a worker is up. The ledger has the rows already: a failure costs nothing. */
async function fillQueue(app: App, config: Config, depth: number, log: Logger): Promise<void> {
  if (config.baseUrl === undefined) return;
  const queue = openQueue(app.store, queueName(app.ledgerId, null));
  try {
    await ensureProvider(app.db, config.baseUrl);
    const scope = { origin: config.baseUrl, batches: null };
    // One chunk: what a worker does with it takes about a second, so what comes after does not wait long.
    const most = Math.min(depth, MOST_ROWS);
    const pace = { size: () => most, ahead: () => most };
    await fill({ db: app.db, queue, scope, pace });
  } catch (error) {
    log.warn(
      { event: 'fill-failed', error: messageOf(error) },
      'the queue was not filled; the next worker does it',
    );
  } finally {
    await queue.close();
  }
}

function toJson(produced: Produced): Record<string, unknown> {
  const { batch, columns, ...numbers } = produced;
  return { batch: batch.name, source: batch.source, ...numbers, ...columnsJson(columns) };
}
