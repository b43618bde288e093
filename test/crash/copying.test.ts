import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { Point } from '../../src/core/crash-points.ts';
import { countsOf, describe as tell, exits, openCli } from '../cli.ts';
import { csvOf, paidTwice } from '../e2e/manifest.ts';
import { startSimulatorProcess } from '../e2e/simulator.ts';
import { createDatabase, servers } from '../servers.ts';
import { armed } from './arm.ts';
import { COPYING } from './table.ts';

const ROWS = 8;
/** Before and after the copy is complete. `npm run soak:deaths` has every point. */
const LAST = ['tables-copied', 'copy-committed'] as const satisfies Point[];
const EVERYWHERE = process.env['VIDBATCH_CRASH_STORAGES'] !== undefined;

describe('a process that dies while it copies a ledger', async () => {
  const shared = await servers();
  const simulator = await startSimulatorProcess();
  after(() => simulator.close());

  /** Half of the rows are sent, the copy dies at the point, and the same command is run again. */
  const dies = async (point: Point, to: 'server' | 'folder'): Promise<void> => {
    const database = await createDatabase(shared);
    const cli = await openCli(
      { VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: 'sk-crash' },
      { ledger: true },
    );
    after(() => Promise.all([cli.close(), database.drop()]));
    const dir = join(cli.folder, 'copy');
    const place = to === 'server' ? database.url : dir;
    // As on another machine: no journal there tells of the rows that were sent.
    const there = {
      env:
        to === 'server'
          ? { DATABASE_URL: database.url, VIDBATCH_DATA_DIR: `${dir}-elsewhere` }
          : { VIDBATCH_DATA_DIR: dir },
    };
    const name = `${point}-${to}`;
    exits(await cli.run(['run', await cli.write('sent.csv', csvOf(ROWS, `${name}-sent`))]), 0);
    const file = await cli.write('rest.csv', csvOf(ROWS, `${name}-rest`));
    exits(await cli.run(['submit', file]), 0);

    const copy = ['ledger', 'copy', '--to', place];
    const died = await cli.start(copy, { env: armed({ point }) }).ended;
    assert.ok(died.signal === 'SIGKILL', tell(died));

    const isComplete = point === 'copy-committed';
    const onCopy = await cli.run(['status'], there);
    if (isComplete) exits(onCopy, 0);
    else if (point === 'target-marked')
      assert.match(
        exits(onCopy, 3).stderr,
        /a ledger was on its way here, and did not arrive \[LEDGER_INCOMPLETE\]/,
      );
    else assert.match(exits(onCopy, 3).stderr, /the ledger is not complete: .*\[LEDGER_INCOMPLETE\]/);
    if (point !== 'target-marked' && point !== 'target-made') {
      assert.match(
        exits(await cli.run(['run', file]), 3).stderr,
        /a copy to .* may be complete \[LEDGER_COPYING\]/,
      );
    }
    // Of the points before the last one, what others are told depends on no point.
    if (point === 'tables-copied') {
      exits(await cli.run(['run', file], there), 3);
      exits(await cli.run(['migrate'], there), 3);
      exits(await cli.run(['ledger', 'reopen', '--yes'], there), 3);
    }

    exits(await cli.run(copy), 0);
    if (isComplete) exits(await cli.run(copy), 0);
    exits(await cli.run(['run', file]), 3);
    assert.equal(countsOf(exits(await cli.run(['run', file, '--json'], there), 0))['submitted'], ROWS);
    assert.match(exits(await cli.run(['verify'], there), 0).stdout, /every invariant holds/);
    const paid = simulator.accepted().filter(({ body }) => body.prompt.includes(name));
    assert.deepEqual([paid.length, paidTwice(paid)], [2 * ROWS, []]);
  };

  it('to a folder, before its ledger is made: a run there makes no new one, and the copy completes', async () => {
    const cli = await openCli(
      { VIDBATCH_BASE_URL: simulator.url, VIDBATCH_API_KEY: 'sk-crash' },
      { ledger: true },
    );
    after(() => cli.close());
    const file = await cli.write('early.csv', csvOf(ROWS, 'early'));
    exits(await cli.run(['run', file]), 0);
    for (const [n, point] of (['database-made', 'ledger-migrating'] as const).entries()) {
      const dir = join(cli.folder, `copy-${n}`);
      const there = { env: { VIDBATCH_DATA_DIR: dir } };
      const copy = ['ledger', 'copy', '--to', dir];
      const died = await cli.start(copy, { env: armed({ point }) }).ended;
      assert.ok(died.signal === 'SIGKILL', tell(died));
      assert.match(exits(await cli.run(['run', file], there), 3).stderr, /\[LEDGER_INCOMPLETE\]/);
      if (n === 0) continue;
      exits(await cli.run(copy), 0);
      exits(await cli.run(['run', file], there), 0);
    }
    const paid = simulator.accepted().filter(({ body }) => body.prompt.includes('early'));
    assert.deepEqual([paid.length, paidTwice(paid)], [ROWS, []]);
  });

  for (const point of EVERYWHERE ? COPYING : LAST)
    it(`to a server, at ${point}`, () => dies(point, 'server'));
  for (const point of EVERYWHERE ? LAST : LAST.slice(1))
    it(`to a folder, at ${point}`, () => dies(point, 'folder'));
});
