import type { Command } from 'commander';
import type { Config } from '../../core/config.ts';
import { EXIT, VidbatchError, type ExitCode } from '../../core/errors.ts';
import { formatCount, parseCount, plural } from '../../core/units.ts';
import { requireBatch, type Batch } from '../../ledger/batches.ts';
import type { Finding, Severity } from '../../ledger/verify/invariant.ts';
import { inspectJournals } from '../../operate/verify/journal-check.ts';
import { inspectTasks } from '../../operate/verify/task-check.ts';
import { inspectQueues, confirmed, inspectLedger, type Inspection } from '../../operate/verify/verify.ts';
import { askerOf, type Asker } from '../../provider/asker.ts';
import { createProvider } from '../../provider/client.ts';
import { rememberedProfiles } from '../../provider/profile/remembered.ts';
import { openApp, openLedger, type App, type LedgerApp } from '../../worker/app.ts';
import { journalFolder } from '../../worker/journal/journal.ts';
import { isQueueThere } from '../../worker/queue/store.ts';
import {
  configOf,
  flag,
  globalFlags,
  isOn,
  providerFlags,
  warnOfKeyApart,
  type GlobalFlags,
} from '../flags/flags.ts';
import { providerSilent } from '../output/format.ts';
import type { Io } from '../output/io.ts';
import { openLedgerOnly } from '../open-ledger.ts';
import { onInterrupt } from '../signals.ts';
import { Progress } from '../output/terminal.ts';
import { requireTarget } from '../../provider/target.ts';

interface VerifyFlags extends GlobalFlags {
  provider?: boolean;
  concurrency: string;
}

export function verifyCommand(program: Command, io: Io, exit: (code: number) => void): void {
  const command = program
    .command('verify [batch]')
    .description('check the ledger against itself, this machine’s journals and the queue; change nothing')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch verify
  $ vidbatch verify text --json
  $ vidbatch verify --provider

It checks each suspicion twice, a second apart, so workers may run meanwhile. Notes are not faults.

Exit codes:
  0  all well
  1  the ledger contradicts itself, a journal or the queue [LEDGER_BROKEN]
  5  a row may have been paid twice, or a task id may be lost
  7  the provider contradicts the ledger (--provider)
The highest risk wins: 5, 1, 7.`,
    )
    .action(async (batch: string | undefined, flags: VerifyFlags) => exit(await verify(batch, flags, io)));
  flag(
    providerFlags(globalFlags(command)),
    '--provider',
    'also ask the provider for every task id; stores nothing',
  );
  flag(command, '--concurrency <n>', 'open calls with --provider', '8');
}

/** What has been checked. */
interface Checked {
  rows: number;
  journals: number;
  /** Null: the queue is away. */
  jobs: number | null;
  asked: number;
  unanswered: number;
}

async function verify(name: string | undefined, flags: VerifyFlags, io: Io): Promise<number> {
  const config = configOf(flags);
  const concurrency = parseCount('--concurrency', flags.concurrency, 1, 1000);
  const target = isOn(flags.provider) ? requireTarget(config) : undefined;
  if (target !== undefined) warnOfKeyApart(config, io);
  const app = await openWithQueueIfThere(config, io);
  const provider = target && createProvider({ ...target, connections: concurrency, codes: config.codes });
  const interrupt = onInterrupt(io.quit);
  const progress = new Progress(io);
  try {
    const batch = name === undefined ? undefined : await requireBatch(app.db, name);
    const checked: Checked = {
      rows: 0,
      journals: 0,
      jobs: app.store === undefined ? null : 0,
      asked: 0,
      unanswered: 0,
    };
    const report = new FindingReport(io, isOn(flags.json));
    const inspections = inspectAll(app, config, batch, checked, {
      provider: provider && askerOf(provider, rememberedProfiles(app.db)),
      concurrency,
      signal: interrupt.signal,
      onRows: (rows) => progress.show(`${formatCount(rows)} rows checked`),
    });
    for await (const one of confirmed(inspections)) {
      progress.clear();
      await report.add(one);
    }
    progress.clear();
    if (interrupt.signal.aborted) return await interrupt.happened;
    report.finish(formatChecked(checked, provider !== undefined));
    return judge(report, checked);
  } finally {
    interrupt.dispose();
    progress.clear();
    await provider?.close();
    await app.close();
  }
}

type Opened = LedgerApp & Partial<Pick<App, 'store'>>;

/** Opens the ledger with its queue. If the queue is away or was never made, it opens the ledger only. */
async function openWithQueueIfThere(config: Config, io: Io): Promise<Opened> {
  if (config.databaseUrl !== undefined && config.redisUrl === undefined) {
    const alone = await openLedger(config, 'reader');
    if (!(await isQueueThere(alone.db))) return alone;
    await alone.close();
  }
  try {
    return await openApp(config, 'reader');
  } catch (error) {
    if (!(error instanceof VidbatchError && error.code.startsWith('QUEUE_'))) throw error;
    return openLedgerOnly(config, io);
  }
}

/** Inspects the ledger, then the journals and the queue, then the provider. Ends early when interrupted. */
async function* inspectAll(
  app: Opened,
  config: Config,
  batch: Batch | undefined,
  checked: Checked,
  options: {
    provider: Asker | undefined;
    concurrency: number;
    signal: AbortSignal;
    onRows: (rows: number) => void;
  },
): AsyncGenerator<Inspection> {
  const { provider, concurrency, signal } = options;
  const batchId = batch?.id ?? null;
  const { ledgerId } = app;
  const parts = [
    inspectLedger(app.db, batchId, (rows) => {
      checked.rows = rows;
      options.onRows(rows);
    }),
    inspectJournals(app.db, journalFolder(config.dataDir), {
      ledgerId,
      batch: batch?.name ?? null,
      onJournal: () => (checked.journals += 1),
    }),
    ...(app.store === undefined
      ? []
      : [
          inspectQueues(app.db, app.store, {
            ledgerId,
            onJobs: (jobs) => (checked.jobs = (checked.jobs ?? 0) + jobs),
          }),
        ]),
    ...(provider === undefined
      ? []
      : [inspectTasks(app.db, provider, { batchId, concurrency, signal }, checked)]),
  ];
  for (const part of parts) {
    for await (const inspection of part) {
      if (signal.aborted) return;
      yield inspection;
    }
  }
}

/** @throws VidbatchError exit 1 if an invariant is broken and there is no higher risk. */
function judge(report: FindingReport, { asked, unanswered }: Checked): ExitCode {
  const code = report.exitCode();
  if (code === EXIT.operational) {
    const what = plural(report.count('broken'), 'finding contradicts', 'findings contradict');
    throw new VidbatchError('LEDGER_BROKEN', `${what} the invariants`, {
      hint: 'Nothing was changed. Each finding says what to do next.',
    });
  }
  if (code === EXIT.ok && asked > 0 && unanswered === asked) {
    throw providerSilent({ asked, unanswered }, ' The ledger itself has no fault.');
  }
  return code;
}

function formatChecked({ rows, journals, jobs, asked, unanswered }: Checked, withProvider: boolean): string {
  const parts = [plural(rows, 'row'), plural(journals, 'journal')];
  parts.push(jobs === null ? 'no queue' : plural(jobs, 'job'));
  if (withProvider) parts.push(`${plural(asked, 'task')} polled`, `${formatCount(unanswered)} unanswered`);
  return `checked: ${parts.join(' · ')}`;
}

/** Worst first. */
const WORDS: Record<Severity, string> = {
  risk: 'RISK',
  broken: 'BROKEN',
  difference: 'differs',
  note: 'note',
};
const ORDER = Object.keys(WORDS) as Severity[];

const EXAMPLES = 3;

interface Group {
  severity: Severity;
  invariant: string;
  total: number;
  examples: Finding[];
}

/** Shows findings in groups with three examples each. With `json`, it prints each as a line as it comes. */
class FindingReport {
  readonly #io: Pick<Io, 'out' | 'write'>;
  readonly #json: boolean;
  readonly #groups = new Map<string, Group>();

  constructor(io: Pick<Io, 'out' | 'write'>, json: boolean) {
    this.#io = io;
    this.#json = json;
  }

  async add(finding: Finding): Promise<void> {
    const { severity, invariant } = finding;
    const name = `${severity} ${invariant}`;
    const group = this.#groups.get(name) ?? { severity, invariant, total: 0, examples: [] };
    this.#groups.set(name, group);
    group.total += 1;
    if (this.#json) await this.#io.write(`${JSON.stringify(finding)}\n`);
    else if (group.examples.length < EXAMPLES) group.examples.push(finding);
  }

  count(severity: Severity): number {
    const groups = [...this.#groups.values()].filter((one) => one.severity === severity);
    return groups.reduce((sum, { total }) => sum + total, 0);
  }

  /** Shows the groups, worst first. */
  finish(checked: string): void {
    if (this.#json) return;
    const groups = [...this.#groups.values()];
    for (const group of ORDER.flatMap((severity) => groups.filter((one) => one.severity === severity))) {
      for (const line of formatGroup(group)) this.#io.out(line);
    }
    const faults = ORDER.slice(0, -1).reduce((sum, severity) => sum + this.count(severity), 0);
    this.#io.out(`${checked} · ${faults === 0 ? 'every invariant holds' : plural(faults, 'fault')}`);
  }

  /** The highest risk wins: 5, 1, 7. */
  exitCode(): ExitCode {
    if (this.count('risk') > 0) return EXIT.uncertainRows;
    if (this.count('broken') > 0) return EXIT.operational;
    return this.count('difference') > 0 ? EXIT.differences : EXIT.ok;
  }
}

function formatGroup({ severity, invariant, total, examples }: Group): string[] {
  const shown = examples.flatMap(({ batch, key, what, next }, n) => {
    const where = batch === null ? '' : ` ${key === null ? batch : `${batch} ${key}`}:`;
    const line = `${WORDS[severity]}${where} ${what} [${invariant}]`;
    return next === examples[n + 1]?.next ? [line] : [line, `  ${next}`];
  });
  const left = total - examples.length;
  return left > 0
    ? [...shown, `${WORDS[severity]} … and ${formatCount(left)} more [${invariant}]; --json lists all`]
    : shown;
}
