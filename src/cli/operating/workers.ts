import type { Command } from 'commander';
import { EXIT, type ExitCode } from '../../core/errors.ts';
import { formatCount, formatDistance, plural } from '../../core/units.ts';
import { readWorkers, type SeenWorker } from '../../ledger/workers.ts';
import { configOf, globalFlags, isOn, type GlobalFlags } from '../flags/flags.ts';
import { formatRate } from '../output/format.ts';
import type { Io } from '../output/io.ts';
import { withLedger } from '../open-ledger.ts';
import { Styled, type Line } from '../output/style.ts';
import { formatTable, type Cell } from '../output/table.ts';

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

A worker says every second that it is alive. One that does not for three seconds is silent, and after twenty it is gone.
It was killed, or it cannot reach the ledger. Its rows in flight become uncertain at their deadline. After a day it is
forgotten.`,
    )
    .action(async (flags: GlobalFlags) => exit(await workers(flags, io)));
  globalFlags(command);
}

async function workers(flags: GlobalFlags, io: Io): Promise<ExitCode> {
  return withLedger(configOf(flags), io, async ({ db }) => {
    const seen = await readWorkers(db);
    if (isOn(flags.json)) for (const worker of seen) io.out(JSON.stringify(worker));
    else for (const line of formatWorkers(seen, Date.now(), io.width)) io.out(line);
    return EXIT.ok;
  });
}

function formatWorkers(seen: readonly SeenWorker[], now: number, width: number): Line[] {
  const alive = seen.filter((worker) => worker.alive).length;
  return [
    ...(seen.length === 0
      ? []
      : formatTable<SeenWorker>(
          [
            { title: 'worker', least: 10, of: ({ id }) => id },
            { title: 'host', least: 8, of: ({ host }) => host },
            { title: 'pid', right: true, drop: 2, of: ({ pid }) => String(pid) },
            { title: 'version', drop: 3, of: ({ version }) => version },
            { title: 'state', least: 7, of: (worker) => stateOf(worker, now) },
            {
              title: 'up',
              right: true,
              drop: 1,
              of: ({ startedAt }) => formatDistance(now - startedAt.getTime()),
            },
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
            { title: 'limits', drop: 4, of: formatLimitsOf },
            { title: 'batches', least: 10, drop: 5, of: ({ batches }) => batches?.join(', ') ?? '' },
          ],
          seen,
          width,
        )),
    ...(alive === 0 ? [[new Styled('bad', 'no worker is alive'), ': `vidbatch work` starts one']] : []),
  ];
}

function stateOf({ alive, silent, draining, seenAt }: SeenWorker, now: number): Cell {
  const lastSeen = `last seen ${formatDistance(now - seenAt.getTime())} ago`;
  if (!alive) return new Styled('bad', `gone, ${lastSeen}`);
  if (silent) return new Styled('warning', `silent, ${lastSeen}`);
  return draining ? new Styled('warning', 'stopping') : new Styled('good', 'working');
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
