import type { Command } from 'commander';
import { EXIT } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { formatCount, formatDuration, plural } from '../core/units.ts';
import { readWorkers } from '../ledger/workers.ts';
import type { SeenWorker } from '../ledger/workers.ts';
import { configOf, globalFlags, isOn } from './flags.ts';
import type { GlobalFlags } from './flags.ts';
import { formatRate } from './format.ts';
import type { Io } from './io.ts';
import { withLedger } from './open-ledger.ts';
import { formatTable } from './table.ts';

export function workersCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('workers')
    .description('which workers are alive, on which machines, and what they do')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch workers
  $ vidbatch workers --json | jq -r 'select(.alive | not) | .id'

A worker says every five seconds that it is alive. One that is gone did not end as it should: it was killed, or it cannot
reach the ledger. Its rows in flight become uncertain at their deadline. After a day it is forgotten.`,
    )
    .action(async (flags: GlobalFlags) => exit(await workers(flags, io)));
  globalFlags(command);
}

async function workers(flags: GlobalFlags, io: Io): Promise<ExitCode> {
  return withLedger(configOf(flags), io, async ({ db }) => {
    const seen = await readWorkers(db);
    if (isOn(flags.json)) for (const worker of seen) io.out(JSON.stringify(worker));
    else for (const line of formatWorkers(seen, Date.now())) io.out(line);
    return EXIT.ok;
  });
}

function formatWorkers(seen: readonly SeenWorker[], now: number): string[] {
  const alive = seen.filter((worker) => worker.alive).length;
  return [
    ...(seen.length === 0
      ? []
      : formatTable<SeenWorker>(
          [
            { title: 'worker', of: ({ id }) => id },
            { title: 'host', of: ({ host }) => host },
            { title: 'pid', right: true, of: ({ pid }) => String(pid) },
            { title: 'version', of: ({ version }) => version },
            { title: 'state', of: (worker) => stateOf(worker, now) },
            { title: 'up', right: true, of: ({ startedAt }) => formatDuration(now - startedAt.getTime()) },
            {
              title: 'calls',
              right: true,
              of: ({ inFlight, concurrency }) => `${inFlight} of ${concurrency}`,
            },
            { title: 'rows', right: true, of: ({ recorded }) => formatCount(recorded) },
            {
              title: 'rows/s',
              right: true,
              of: ({ perSecond, alive: lives }) => (lives ? perSecond.toFixed(1) : ''),
            },
            { title: 'limits', of: formatLimitsOf },
            { title: 'batches', of: ({ batches }) => batches?.join(', ') ?? '' },
          ],
          seen,
        )),
    ...(alive === 0 ? ['no worker is alive: `vidbatch work` starts one'] : []),
  ];
}

function stateOf({ alive, draining, seenAt }: SeenWorker, now: number): string {
  if (!alive) return `gone, last seen ${formatDuration(now - seenAt.getTime())} ago`;
  return draining ? 'stopping' : 'working';
}

function formatLimitsOf({ limits }: SeenWorker): string {
  const auto = limits.some(({ intervalMs }) => intervalMs === 'auto');
  const fixed = limits.flatMap(({ model, intervalMs, inFlight }) => [
    ...(typeof intervalMs === 'number' ? [`${formatRate(1000 / intervalMs)}${ofModel(model)}`] : []),
    ...(inFlight === undefined ? [] : [`${plural(inFlight, 'task')}${ofModel(model)}`]),
  ]);
  return [...(auto ? ['auto'] : []), ...fixed].join(' · ');
}

function ofModel(model: string): string {
  return model === '' ? '' : ` of ${model}`;
}
