import type { Command } from 'commander';
import { EXIT } from '../../core/errors.ts';
import { openOf, type TaskCounts } from '../../core/task-status.ts';
import { formatCount, parseCount, plural } from '../../core/units.ts';
import { requireBatch } from '../../ledger/batches.ts';
import { countTasks, countOpenElsewhere } from '../../ledger/tasks/tasks.ts';
import { formatTasks } from '../../operate/summary.ts';
import { askerOf } from '../../provider/asker.ts';
import { rememberedProfiles } from '../../provider/profile/remembered.ts';
import { createProvider } from '../../provider/client.ts';
import { POLL_TIMEOUT_MS } from '../../results/poll/poller.ts';
import { reconcile, type Reconciled } from '../../results/reconcile.ts';
import type { LedgerApp } from '../../worker/app.ts';
import {
  configOf,
  flag,
  globalFlags,
  isOn,
  parsePollRate,
  pollRateFlag,
  providerFlags,
  warnOfKeyApart,
  type GlobalFlags,
} from '../flags/flags.ts';
import { formatCosts, providerSilent } from '../output/format.ts';
import type { Io } from '../output/io.ts';
import { logOf } from '../log.ts';
import { ledgerOpener, withReconnect } from '../open-ledger.ts';
import { checkMode, providerFileFlags, reconcileFiles, type ProviderFileFlags } from './reconcile-files.ts';
import { onInterrupt } from '../signals.ts';
import { Progress } from '../output/terminal.ts';
import { requireTarget } from '../../provider/target.ts';

interface ReconcileFlags extends GlobalFlags, ProviderFileFlags {
  concurrency: string;
  pollRate?: string;
  watch?: boolean;
  ended?: boolean;
}

export function reconcileCommand(program: Command, io: Io, exit: (code: number) => void): void {
  const command = program
    .command('reconcile [batch]')
    .description('ask the provider for the tasks, and store status, result URL and the raw answer')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch reconcile text && vidbatch export text
  $ vidbatch reconcile --watch                until every task has ended
  $ vidbatch reconcile text --ended           ended tasks too: fresh result URLs, and whether their status is the same
  $ vidbatch reconcile --provider-file tasks.json --provider-file bill.csv --prices prices.json --differences differ.csv
  $ vidbatch reconcile text --provider-file 任务.csv --map task_id=任务号 --tz Asia/Shanghai --currency CNY
  $ vidbatch reconcile text --provider-file tasks.csv --accept

Without --watch, it polls every open task once, and also tasks that the provider did not know. With --watch, it polls
each task when it is due: new tasks every few seconds, old tasks less often. \`work\` and \`run\` do the same, and only
one of them polls each task. A task that the provider does not know becomes \`missing\` after several polls over
minutes. If the provider changes the status of an ended task, this is reported and changes nothing.

With --provider-file, it does not ask the provider. It compares the provider's own task lists, exports and bills with
the ledger and with the polled answers. It finds columns by their usual names. --accept settles an uncertain row only if
exactly one task fits it and no other row can have made that task; otherwise rows and tasks are shown side by side.

Exit codes:
  0  all well
  1  the provider did not answer [PROVIDER_SILENT]
  5  with --provider-file: rows stay uncertain
  7  the provider does not know a task, or has changed the status of an ended task; with --provider-file: something differs
  129, 130, 143  interrupted`,
    )
    .action(async (batch: string | undefined, flags: ReconcileFlags) => {
      checkMode(command, flags);
      exit(await (flags.providerFile === undefined ? reconcileBatch : reconcileFiles)(batch, flags, io));
    });
  flag(providerFlags(globalFlags(command)), '--watch', 'until no task is open');
  flag(command, '--ended', 'also tasks that have ended');
  flag(command, '--concurrency <n>', 'open calls', '8');
  pollRateFlag(command);
  providerFileFlags(command);
}

async function reconcileBatch(name: string | undefined, flags: ReconcileFlags, io: Io): Promise<number> {
  const config = configOf(flags);
  const concurrency = parseCount('--concurrency', flags.concurrency, 1, 1000);
  const intervalMs = parsePollRate(flags);
  const target = requireTarget(config);
  warnOfKeyApart(config, io);
  const progress = new Progress(io);
  const log = logOf(flags, 'warn', { destination: progress });
  const provider = createProvider({
    ...target,
    codes: config.codes,
    timeoutMs: POLL_TIMEOUT_MS,
    connections: concurrency,
  });
  const interrupt = onInterrupt(io.quit);
  const watch = isOn(flags.watch);
  try {
    const result = await withReconnect(
      config,
      log,
      interrupt.signal,
      ledgerOpener(config, io, log),
      async (app, moving) => {
        const batch = name === undefined ? undefined : await requireBatch(app.db, name);
        const batchId = batch?.id ?? null;
        const scope = { origin: provider.origin, batches: batchId === null ? null : [batchId] };
        for (const { origin, tasks } of await countOpenElsewhere(app.db, scope)) {
          io.err(
            `${plural(tasks, 'open task belongs', 'open tasks belong')} to ${origin ?? 'no provider'}; this command does not poll ${tasks === 1 ? 'it' : 'them'}`,
          );
        }
        const watcher = watch ? new WatchProgress(app, scope.batches, progress, io) : undefined;
        return reconcile(app.db, askerOf(provider, rememberedProfiles(app.db)), {
          batchId,
          watch,
          ended: isOn(flags.ended),
          concurrency,
          intervalMs,
          timeoutMs: POLL_TIMEOUT_MS,
          log,
          signal: moving,
          onAsked: (asked) => {
            if (watcher === undefined) progress.show(`${formatCount(asked)} tasks polled`);
            else watcher.show(asked);
          },
        });
      },
    );
    if (result === undefined) return await interrupt.happened;
    progress.clear();
    printResult(name, result, watch, flags, io);
    if (interrupt.signal.aborted) return await interrupt.happened;
    if (result.silent !== null || (result.asked > 0 && result.unanswered === result.asked))
      throw providerSilent(result);
    const { missing, otherwise } = result.tasks;
    return missing + otherwise > 0 ? EXIT.differences : EXIT.ok;
  } finally {
    interrupt.dispose();
    progress.clear();
    await provider.close();
  }
}

/** Shows how far `--watch` is. It counts the tasks only as often as counting costs little. */
class WatchProgress {
  readonly #app: LedgerApp;
  readonly #batches: readonly number[] | null;
  readonly #progress: Progress;
  readonly #io: Io;
  #counting = false;
  #nextAt = 0;

  constructor(app: LedgerApp, batches: readonly number[] | null, progress: Progress, io: Io) {
    this.#app = app;
    this.#batches = batches;
    this.#progress = progress;
    this.#io = io;
  }

  show(asked: number): void {
    if (this.#counting || performance.now() < this.#nextAt) return;
    this.#counting = true;
    const began = performance.now();
    void countTasks(this.#app.db, this.#batches)
      .then((counts) => this.#print(`${formatTasks(counts)} · asked ${plural(asked, 'time')}`))
      .catch(() => undefined)
      .finally(() => {
        const cost = performance.now() - began;
        this.#nextAt = performance.now() + Math.max(20 * cost, this.#io.interactive ? 500 : 10_000);
        this.#counting = false;
      });
  }

  #print(text: string): void {
    if (this.#io.interactive) this.#progress.show(text);
    else this.#io.err(text);
  }
}

function printResult(
  name: string | undefined,
  { silent: _silent, tasks, ...heard }: Reconciled,
  watch: boolean,
  flags: ReconcileFlags,
  io: Io,
): void {
  if (isOn(flags.json)) {
    io.out(JSON.stringify({ batch: name ?? null, ...heard, tasks: { open: openOf(tasks), ...tasks } }));
  } else if (watch) {
    io.out(
      `${formatTasks(tasks)} · asked ${formatCount(heard.asked)} times, ${formatCount(heard.unanswered)} unanswered`,
    );
  } else {
    const parts = [
      `${formatCount(heard.asked)} tasks polled`,
      `${formatCount(heard.completed)} completed`,
      `${formatCount(heard.failed)} failed`,
      `${formatCount(heard.open)} open`,
      `${formatCount(heard.missing)} not known to the provider`,
      ...(heard.otherwise === 0 ? [] : [`${formatCount(heard.otherwise)} whose final status changed`]),
      `${formatCount(heard.unanswered)} unanswered`,
    ];
    io.out(parts.join(' · '));
  }
  const told = formatCosts(heard.costs);
  if (told !== undefined && !isOn(flags.json)) io.out(`billed by the answers: ${told}`);
  for (const line of formatDifferences(name, tasks)) io.err(line);
}

/** What a person must look at. */
function formatDifferences(name: string | undefined, { missing, otherwise }: TaskCounts): string[] {
  const verify = `\`vidbatch verify${name === undefined ? '' : ` ${name}`}\` names them`;
  return [
    ...(missing === 0
      ? []
      : [`the provider does not know ${plural(missing, 'task')} that it had accepted; ${verify}`]),
    ...(otherwise === 0
      ? []
      : [`the provider has changed the status of ${plural(otherwise, 'ended task')}; ${verify}`]),
  ];
}
