import type { Command } from 'commander';
import { requireProvider } from '../core/config.ts';
import { EXIT } from '../core/errors.ts';
import { formatCount, parseCount } from '../core/units.ts';
import { parseRate } from '../core/rate/rate-limits.ts';
import { openOf } from '../core/task-status.ts';
import type { TaskCounts } from '../core/task-status.ts';
import { countTasks, countOpenElsewhere } from '../ledger/tasks/tasks.ts';
import { formatTasks } from '../operate/summary.ts';
import { createProvider } from '../provider/client.ts';
import { POLL_TIMEOUT_MS } from '../results/poll/poller.ts';
import { reconcile } from '../results/reconcile.ts';
import type { Reconciled } from '../results/reconcile.ts';
import type { LedgerApp } from '../worker/app.ts';
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
import { providerSilent } from './format.ts';
import type { Io } from './io.ts';
import { requireBatch } from '../ledger/batches.ts';
import { ledgerOpener } from './open-ledger.ts';
import { checkMode, providerFileFlags, reconcileFiles } from './reconcile-files.ts';
import type { ProviderFileFlags } from './reconcile-files.ts';
import { onInterrupt } from './signals.ts';
import { logAbove, Progress } from './terminal.ts';

interface ReconcileFlags extends GlobalFlags, ProviderFileFlags {
  concurrency: string;
  pollRate?: string;
  watch?: boolean;
  ended?: boolean;
}

export function reconcileCommand(program: Command, io: Io, exit: (code: number) => void): void {
  const command = program
    .command('reconcile [batch]')
    .description('ask the provider how the tasks are, and store status, result URL and the raw answer')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch reconcile text && vidbatch export text
  $ vidbatch reconcile --watch                until every task has come to its end
  $ vidbatch reconcile text --ended           completed and failed ones too: fresh result URLs, and whether they still are
  $ vidbatch reconcile --provider-file tasks.json --provider-file bill.csv --prices prices.json --differences differ.csv
  $ vidbatch reconcile text --provider-file 任务.csv --map task_id=任务号 --tz Asia/Shanghai --currency CNY
  $ vidbatch reconcile text --provider-file tasks.csv --accept

Once: every open task is asked for, and those that the provider did not know. With --watch: each when it is due, fresh
ones every few seconds, old ones seldom; \`work\` and \`run\` do the same meanwhile, and each task is asked for by one of
them. A task that the provider does not know is \`missing\` after several questions over minutes; a status that it gives
a task after its end is reported, and changes nothing.

With --provider-file the provider is not asked: its own task lists, exports and bills are held against the ledger and
what polling has stored. Columns are found by their usual names. --accept settles an uncertain row only when one task
fits it, and no other row can have made that task; where that stays open, rows and tasks are shown side by side.

Exit codes: 0 all well · 1 the provider did not answer [PROVIDER_SILENT] · 5 with --provider-file: rows stay uncertain
  7 the provider does not know some task, or calls one that had come to its end something else; with --provider-file:
  something differs · 129/130/143 interrupted`,
    )
    .action(async (batch: string | undefined, flags: ReconcileFlags) => {
      checkMode(command, flags);
      exit(await (flags.providerFile === undefined ? reconcileBatch : reconcileFiles)(batch, flags, io));
    });
  flag(providerFlags(globalFlags(command)), '--watch', 'until no task is open');
  flag(command, '--ended', 'also those that have come to their end');
  flag(command, '--concurrency <n>', 'open calls', '8');
  flag(command, ...POLL_RATE);
  providerFileFlags(command);
}

async function reconcileBatch(name: string | undefined, flags: ReconcileFlags, io: Io): Promise<number> {
  const config = configOf(flags);
  const concurrency = parseCount('--concurrency', flags.concurrency, 1, 1000);
  const intervalMs = flags.pollRate === undefined ? undefined : parseRate('--poll-rate', flags.pollRate);
  const target = requireProvider(config);
  warnOfKeyApart(config, io);
  const progress = new Progress(io);
  const log = logOf(flags, 'warn', logAbove(progress, io));
  const provider = createProvider({
    ...target,
    timeoutMs: POLL_TIMEOUT_MS,
    connections: concurrency,
    codes: config.codes,
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
            `${formatCount(tasks)} open tasks belong to ${origin ?? 'no provider'}, and are not asked for here`,
          );
        }
        const watcher = watch ? new Watcher(app, scope.batches, progress, io) : undefined;
        return reconcile(app.db, provider, {
          batchId,
          watch,
          ended: isOn(flags.ended),
          concurrency,
          intervalMs,
          timeoutMs: POLL_TIMEOUT_MS,
          log,
          signal: moving,
          onAsked: (asked) => {
            if (watcher === undefined) progress.show(`${formatCount(asked)} tasks asked for`);
            else watcher.show(asked);
          },
        });
      },
    );
    if (result === undefined) return await interrupt.happened;
    progress.clear();
    tell(name, result, watch, flags, io);
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

/** How far it has come, as often as counting costs little. */
class Watcher {
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
      .then((counts) =>
        this.#tell(`${formatTasks(counts)} · asked ${formatCount(asked)} ${asked === 1 ? 'time' : 'times'}`),
      )
      .catch(() => undefined)
      .finally(() => {
        const cost = performance.now() - began;
        this.#nextAt = performance.now() + Math.max(20 * cost, this.#io.interactive ? 500 : 10_000);
        this.#counting = false;
      });
  }

  #tell(text: string): void {
    if (this.#io.interactive) this.#progress.show(text);
    else this.#io.err(text);
  }
}

function tell(
  name: string | undefined,
  { silent: _silent, tasks, ...heard }: Reconciled,
  watch: boolean,
  flags: ReconcileFlags,
  io: Io,
): void {
  if (flags.json === true) {
    io.out(JSON.stringify({ batch: name ?? null, ...heard, tasks: { open: openOf(tasks), ...tasks } }));
  } else if (watch) {
    io.out(
      `${formatTasks(tasks)} · asked ${formatCount(heard.asked)} times, ${formatCount(heard.unanswered)} unanswered`,
    );
  } else {
    const parts = [
      `${formatCount(heard.asked)} tasks asked for`,
      `${formatCount(heard.completed)} completed`,
      `${formatCount(heard.failed)} failed`,
      `${formatCount(heard.open)} open`,
      `${formatCount(heard.missing)} not known to the provider`,
      ...(heard.otherwise === 0 ? [] : [`${formatCount(heard.otherwise)} otherwise than before`]),
      `${formatCount(heard.unanswered)} unanswered`,
    ];
    io.out(parts.join(' · '));
  }
  for (const line of formatDifferences(name, tasks)) io.err(line);
}

/** What a person has to look at, and how. */
function formatDifferences(name: string | undefined, { missing, otherwise }: TaskCounts): string[] {
  const verify = `\`vidbatch verify${name === undefined ? '' : ` ${name}`}\` names them`;
  return [
    ...(missing === 0
      ? []
      : [`the provider does not know ${formatCount(missing)} tasks that it had accepted; ${verify}`]),
    ...(otherwise === 0
      ? []
      : [
          `${formatCount(otherwise)} tasks had come to their end, and the provider says otherwise; ${verify}`,
        ]),
  ];
}
