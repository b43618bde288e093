import type { Command } from 'commander';
import { openApp } from '../app.ts';
import type { App } from '../app.ts';
import { parseCount, requireProvider } from '../config.ts';
import type { Config } from '../config.ts';
import { EXIT, VidbatchError } from '../errors.ts';
import type { ExitCode } from '../errors.ts';
import { journalFolder } from '../journal.ts';
import { journalLooks } from '../journal/check.ts';
import type { Batch } from '../ledger/batch.ts';
import { createProvider } from '../provider/client.ts';
import type { Provider } from '../provider/outcome.ts';
import { queueLooks } from '../queue/check.ts';
import { count } from '../status/summary.ts';
import { taskLooks } from '../task/check.ts';
import { confirmed, ledgerLooks } from '../verify.ts';
import type { Look } from '../verify.ts';
import { batchNamed } from './batch-named.ts';
import { FindingReport } from './finding-report.ts';
import { configOf, flag, globalFlags, isOn, providerFlags } from './io.ts';
import type { GlobalFlags, Io } from './io.ts';
import { onInterrupt } from './interrupt.ts';
import { Progress } from './progress.ts';
import { providerSilent } from './silence.ts';

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

What is suspicious is looked at twice, a second apart, so workers may go on meanwhile. Notes are no faults.

Exit codes: 0 all well · 1 the ledger contradicts itself, a journal or the queue [LEDGER_BROKEN]
  5 something may have been paid twice, or a task id may be lost · 7 the provider says otherwise (--provider)
  The highest risk wins: 5, 1, 7.`,
    )
    .action(async (batch: string | undefined, flags: VerifyFlags) => exit(await verify(batch, flags, io)));
  flag(
    providerFlags(globalFlags(command)),
    '--provider',
    'ask the provider for every task id, too (it is only asked)',
  );
  flag(command, '--concurrency <n>', 'open calls with --provider', '8');
}

/** What has been looked at. */
interface Checked {
  rows: number;
  journals: number;
  jobs: number;
  asked: number;
  unanswered: number;
}

async function verify(name: string | undefined, flags: VerifyFlags, io: Io): Promise<number> {
  const config = configOf(flags);
  const concurrency = parseCount('--concurrency', flags.concurrency, 1, 1000);
  const target = isOn(flags.provider) ? requireProvider(config) : undefined;
  const app = await openApp(config, 'reader');
  const provider = target && createProvider({ ...target, connections: concurrency, codes: config.codes });
  const interrupt = onInterrupt(io.quit);
  const progress = new Progress(io);
  try {
    const batch = name === undefined ? undefined : await batchNamed(app.db, name);
    const checked: Checked = { rows: 0, journals: 0, jobs: 0, asked: 0, unanswered: 0 };
    const report = new FindingReport(io, isOn(flags.json));
    const looks = everything(app, config, batch, checked, {
      provider,
      concurrency,
      signal: interrupt.signal,
      onRows: (rows) => progress.show(`${count(rows)} rows checked`),
    });
    for await (const one of confirmed(looks)) {
      progress.clear();
      await report.add(one);
    }
    progress.clear();
    if (interrupt.signal.aborted) return await interrupt.happened;
    report.finish(describe(checked, provider !== undefined));
    return judge(report, checked);
  } finally {
    interrupt.dispose();
    progress.clear();
    await provider?.close();
    await app.close();
  }
}

/** The ledger itself, then what stands beside it, then the provider. Ends early when interrupted. */
async function* everything(
  app: App,
  config: Config,
  batch: Batch | undefined,
  checked: Checked,
  options: {
    provider: Provider | undefined;
    concurrency: number;
    signal: AbortSignal;
    onRows: (rows: number) => void;
  },
): AsyncGenerator<Look> {
  const { provider, concurrency, signal } = options;
  const batchId = batch?.id ?? null;
  const { ledgerId } = app;
  const parts = [
    ledgerLooks(app.db, batchId, (rows) => {
      checked.rows = rows;
      options.onRows(rows);
    }),
    journalLooks(app.db, journalFolder(config.dataDir), {
      ledgerId,
      batch: batch?.name ?? null,
      onJournal: () => (checked.journals += 1),
    }),
    queueLooks(app.db, app.store, { ledgerId, batchId, onJobs: (jobs) => (checked.jobs += jobs) }),
    ...(provider === undefined
      ? []
      : [taskLooks(app.db, provider, { batchId, concurrency, signal }, checked)]),
  ];
  for (const part of parts) {
    for await (const look of part) {
      if (signal.aborted) return;
      yield look;
    }
  }
}

/** @throws VidbatchError exit 1 where something is broken and nothing is worse. */
function judge(report: FindingReport, { asked, unanswered }: Checked): ExitCode {
  const code = report.exitCode();
  if (code === EXIT.operational) {
    throw new VidbatchError('LEDGER_BROKEN', `${count(report.count('broken'))} invariants do not hold`, {
      hint: 'Nothing was changed. Each finding says what to do next.',
    });
  }
  if (code === EXIT.ok && asked > 0 && unanswered === asked) {
    throw providerSilent({ asked, unanswered }, ' The ledger itself is in order.');
  }
  return code;
}

function describe({ rows, journals, jobs, asked, unanswered }: Checked, withProvider: boolean): string {
  const some = (n: number, noun: string): string => `${count(n)} ${n === 1 ? noun : `${noun}s`}`;
  const parts = [some(rows, 'row'), some(journals, 'journal'), some(jobs, 'job')];
  if (withProvider) parts.push(`${some(asked, 'task')} asked for`, `${count(unanswered)} unanswered`);
  return `checked: ${parts.join(' · ')}`;
}
