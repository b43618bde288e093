import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { exits } from '../cli.ts';
import { STORAGES, type StorageKind } from '../contract/storages.ts';
import { startSimulatorProcess, type SimulatorProcess } from '../e2e/simulator.ts';
import { armed } from './arm.ts';
import { exitCodeFor, findings, type Findings } from './findings.ts';
import { openCrashCli, type CrashCli } from './crash-cli.ts';
import { CONCURRENCY, type Death } from './table.ts';

/** `npm run soak:deaths` has every table on every storage. */
const CHOSEN = process.env['VIDBATCH_CRASH_STORAGES']?.split(',');

/** What production uses. */
const USUAL: readonly StorageKind[] = ['redis+postgres'];

interface Tables {
  /** Deaths that come after the same manifests were run again. */
  over?: readonly Death[];
  /** Where the gate has it: every start on an embedded ledger costs a second. */
  usual?: readonly StorageKind[];
}

/** The table on each storage, at the same time: one waits where the other computes. */
export function crashes(
  what: string,
  table: readonly Death[],
  { over = [], usual = USUAL }: Tables = {},
): void {
  const kinds = STORAGES.filter((kind) => (CHOSEN ?? usual).includes(kind));
  describe(what, { concurrency: true }, () => {
    let simulator: SimulatorProcess;
    before(async () => {
      simulator = await startSimulatorProcess();
    });
    after(() => simulator.close());
    for (const kind of kinds) on(kind, () => simulator, table, over);
  });
}

/**
 * Dies at every point of the table, on one ledger, each command starting on what the one before has left behind. Then
 * the same manifests once more, as a user would do, and a look at what became of each.
 */
function on(
  kind: StorageKind,
  simulator: () => SimulatorProcess,
  table: readonly Death[],
  over: readonly Death[],
): void {
  describe(`on ${kind}`, { concurrency: false }, () => {
    const deaths = table.filter(({ never = [] }) => !never.includes(kind));
    const batches = [...new Set(deaths.map(batchOf))];
    const files = new Map<string, string>();
    let cli: CrashCli;
    let found = new Map<string, Findings>();

    before(async () => {
      cli = await openCrashCli(kind, simulator());
      for (const [index, batch] of batches.entries()) {
        files.set(batch, await cli.manifest(batch, index % 6 === 0));
      }
    });
    after(() => cli.close());

    for (const death of deaths) it(`dies at ${nameOf(death)}`, () => die(death));

    it('continues when the same manifests are run again', async () => {
      await cli.later();
      const ended = await cli.run(['run', ...files.values(), '--concurrency', String(CONCURRENCY)]);
      found = await findings(cli, batches);
      exits(ended, exitCodeFor(found.values()));
    });

    for (const batch of batches) {
      it(`has paid each row of ${batch} once, lost none, and guessed nothing`, () => check(batch));
    }

    for (const death of over) it(`dies at ${nameOf(death)}`, () => die(death));
    if (over.length > 0) {
      it('has paid no row twice after all commands of the operators', async () => {
        const ended = await cli.run(['run', ...files.values()]);
        found = await findings(cli, batches);
        exits(ended, exitCodeFor(found.values()));
        for (const batch of batches) check(batch);
      });
    }

    async function die(death: Death): Promise<void> {
      const { point, time = 1, command, twice } = death;
      const batch = batchOf(death);
      const args = command(files.get(batch) ?? '', over.includes(death) ? (batches[0] ?? '') : batch, cli);
      await death.before?.(cli, batch);
      await cli.dies({ point, time }, args);
      if (twice !== true || kind !== 'redis+postgres') return;
      const again = await cli.run(args, { env: armed({ point, time }) });
      assert.ok(again.signal === 'SIGKILL' || again.code === 0 || again.code === 4 || again.code === 5);
    }

    function check(batch: string): void {
      const { wrong = ['not looked at'], unknown = [] } = found.get(batch) ?? {};
      assert.deepEqual(wrong, []);
      const costs = deaths.filter((death) => batchOf(death) === batch);
      const most = costs
        .filter((death) => death.costs === 'those in flight')
        .reduce((sum, { twice }) => sum + (twice === true ? 2 : 1) * CONCURRENCY, 0);
      assert.ok(unknown.length <= most, `at most ${most} may be uncertain: ${unknown.join(', ')}`);
    }
  });
}

function batchOf({ of, point }: Death): string {
  return of ?? point;
}

function nameOf({ point, time = 1, of }: Death): string {
  return [point, time > 1 ? `time ${time}` : '', of === undefined ? '' : `in ${of}`]
    .filter((part) => part !== '')
    .join(', ');
}
