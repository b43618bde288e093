import type { Command } from 'commander';
import { openApp } from '../worker/app.ts';
import type { App } from '../worker/app.ts';
import type { Config } from '../core/config.ts';
import { describePurse } from '../batch/budget.ts';
import { chanceOf } from '../batch/deadline.ts';
import type { Deadline } from '../batch/deadline.ts';
import { EXIT, messageOf, refusal } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { fill } from '../worker/feeder.ts';
import { keepHeapSmall } from './heap.ts';
import { countProof, countStates } from '../ledger/batch.ts';
import { readPurse } from '../ledger/budget.ts';
import { ensureProvider } from '../ledger/send/provider.ts';
import type { Logger } from '../core/log.ts';
import { columnsJson, describeColumns } from '../manifest/understanding.ts';
import { openManifest } from '../manifest/manifest.ts';
import { plan } from '../batch/plan.ts';
import { outlookOf } from '../batch/outlook.ts';
import { batchName, checkHeader, produce } from '../batch/producer.ts';
import type { ProduceOptions, Produced } from '../batch/producer.ts';
import { laneOf, openQueue } from '../worker/queue/queue.ts';
import { quoted } from '../core/shell-word.ts';
import { count } from '../core/format.ts';
import { proofTold } from '../operate/summary.ts';
import { FaultReport } from './fault-report.ts';
import { foreignFlag, configOf, flag, globalFlags, listFlag, logOf, providerFlags } from './io.ts';
import type { Io } from './io.ts';
import { manifestFlags, produceOptions } from './manifest-flags.ts';
import type { ManifestFlags } from './manifest-flags.ts';
import { parseCount } from '../core/config.ts';
import { Progress } from './progress.ts';

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
  await checkNames(manifests, options);
  const app = await openApp(config, 'writer');
  try {
    const produced = await produceAll(app, config, manifests, options, io);
    for (const one of produced)
      io.out(flags.json === true ? JSON.stringify(toJson(one)) : describeProduced(one));
    await fillQueue(app, config, depth, logOf(flags, 'warn'));
    if (flags.json !== true) await tellProof(app, produced, io);
    return EXIT.ok;
  } finally {
    await app.close();
  }
}

/** Who looks at the queue now finds one job a batch. */
async function tellProof(app: App, produced: readonly Produced[], io: Io): Promise<void> {
  for (const { batch } of produced) {
    const { pending } = await countStates(app.db, batch.id);
    const told = proofTold(await countProof(app.db, batch.id), pending);
    if (told !== undefined) io.err(`${batch.name}: ${told}`);
  }
}

/** What is wrong with a name alone is said at once, and no ledger is made for it. */
export async function checkNames(manifests: readonly string[], options: ProduceOptions): Promise<void> {
  for (const source of manifests) {
    batchName(source, options.batch);
    if (source === '-') continue;
    checkHeader(await openManifest(source, options), options.map);
  }
}

/**
 * All manifests or none: with several, each is checked before the first is brought in. `agreed`: the digests of those
 * that a person has seen.
 */
export async function produceAll(
  app: App,
  config: Config,
  manifests: readonly string[],
  options: ProduceOptions,
  io: Io,
  agreed: ReadonlyMap<string, string> = new Map(),
): Promise<Produced[]> {
  const origin = config.baseUrl === undefined ? {} : { origin: config.baseUrl };
  const bringing = { ...options, ...origin, models: config.models };
  if (manifests.length > 1) await checkAll(app, manifests, bringing);
  const produced: Produced[] = [];
  for (const source of manifests) {
    const progress = new Progress(io);
    const faults = new FaultReport({ err: (line) => progress.above(`${line}\n`) }, 20);
    try {
      const one = await produce(app.db, source, {
        ...bringing,
        stdin: io.stdin,
        ...(agreed.has(source) ? { digest: agreed.get(source) ?? '' } : {}),
        onFault: (fault, name) => faults.add(fault, name),
        onProgress: (rows) => progress.show(`${source}: ${count(rows)} rows read`),
      });
      produced.push(one);
      await warnOfDeadline(app, one, options.deadline, (line) => progress.above(`${line}\n`));
      await warnOfBudget(app, one, (line) => progress.above(`${line}\n`));
    } finally {
      progress.clear();
      faults.finish(`; \`vidbatch validate ${quoted(source)} --all\` shows them all`);
    }
  }
  return produced;
}

/** What cannot be in time, or is not known to be, is said before it is sent. */
async function warnOfDeadline(
  app: App,
  { batch }: Produced,
  deadline: Deadline | undefined,
  err: (line: string) => void,
): Promise<void> {
  if (deadline === undefined || deadline.at === null) return;
  const seen = await outlookOf(app.db, batch, deadline);
  const chance = chanceOf(seen, deadline.at);
  if (chance === 'met') return;
  const words = chance === 'missed' ? 'will be missed' : 'may be missed';
  err(`${batch.name}: the deadline ${deadline.at.toISOString()} ${words}: ${seen.told}`);
}

/** What a budget does not pay for is said before it is sent. */
async function warnOfBudget(app: App, { batch }: Produced, err: (line: string) => void): Promise<void> {
  const purse = await readPurse(app.db, batch.id);
  if (purse === undefined || purse.beyond === 0) return;
  err(`${batch.name}: the budget does not pay for all rows: ${describePurse(purse)}`);
}

async function checkAll(
  app: Pick<App, 'db'>,
  manifests: readonly string[],
  options: ProduceOptions,
): Promise<void> {
  for (const source of manifests.filter((one) => one !== '-')) {
    const { refused, invalid } = await plan(app.db, source, options);
    if (refused === undefined) continue;
    if (refused.code !== 'INVALID_ROWS') throw refused;
    throw refusal(
      'INVALID_ROWS',
      `${source}: ${invalid === 1 ? '1 row is' : `${count(invalid)} rows are`} invalid; nothing was sent, of no manifest`,
      `\`vidbatch validate ${quoted(source)}\` shows ${invalid === 1 ? 'it' : 'them'}; --keep-going sends the valid rows.`,
    );
  }
}

/** So that the board shows jobs before a worker is up. The ledger has the rows already: a failure costs nothing. */
async function fillQueue(app: App, config: Config, depth: number, log: Logger): Promise<void> {
  if (config.baseUrl === undefined) return;
  const lane = laneOf(app.ledgerId, null);
  const queue = openQueue(app.store, lane);
  try {
    await ensureProvider(app.db, config.baseUrl);
    await fill({ db: app.db, queue, scope: { lane, origin: config.baseUrl, batches: null }, depth });
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

/** `columnsTold`: the plan has named the columns already. */
export function describeProduced(produced: Produced, columnsTold = false): string {
  const { batch, rows, added, known, renamed, updated, pruned, invalid, columns } = produced;
  const parts = [rows === 1 ? '1 row' : `${count(rows)} rows`, `${count(added)} new`];
  if (known > 0) parts.push(`${count(known)} known`);
  if (renamed > 0) parts.push(`${count(renamed)} renamed`);
  if (updated > 0) parts.push(`${count(updated)} updated`);
  if (pruned > 0) parts.push(`${count(pruned)} cancelled`);
  if (invalid > 0) parts.push(`${count(invalid)} invalid`);
  const lines = (columnsTold ? [] : describeColumns(columns)).map((line) => `\n  ${line}`);
  return `${batch.name}: ${parts.join(' · ')}${lines.join('')}`;
}
