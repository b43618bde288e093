import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { SQL_LEDGERS, onEvery } from '../contract/storages.ts';
import { MUTATIONS, type MutationName } from '../mutation/mutations.ts';
import { compare } from './comparison.ts';
import { SQL } from './deed.ts';
import { loadStatements } from './sources.ts';
import { SqlLedger } from './sql.ts';

const SEQUENCES = 12;
/** With new random seeds: `npm run soak:ledgers`. */
const NEW_SEQUENCES = Number(process.env['VIDBATCH_NEW_SEQUENCES'] ?? 0);
const DEEDS = 30;
/** A seed that nobody had tried, until it found a difference. */
const FOUND = [1_599_238_039];

onEvery(SQL_LEDGERS, (storage, kind) => {
  describe('the model of the ledger', () => {
    let ledger: SqlLedger;
    before(async () => {
      await SqlLedger.prepare(storage().db);
      if (storage().kind === 'embedded') {
        // It has one session, which is open already.
        await storage().db.query('set search_path = clock, pg_catalog, public');
        ledger = new SqlLedger(storage().db);
      } else ledger = new SqlLedger((await storage().another()).db);
    });

    test('gives the same answers and the same state as the SQL for any operations', async () => {
      const anew = Math.floor(Math.random() * 2 ** 31);
      const seeds = [
        ...Array.from({ length: SEQUENCES }, (_, n) => n + 1),
        ...Array.from({ length: NEW_SEQUENCES }, (_, n) => anew + n),
      ];
      for (const seed of [...FOUND, ...seeds]) {
        const difference = await compare(ledger, { seed, deeds: DEEDS });
        if (difference !== undefined) assert.fail(difference);
      }
    });

    const guards = [
      'claim-without-compare',
      'record-forgets-task-id',
      'record-settles-what-was-edited',
    ] as const;
    const longer = [
      'claim-over-the-budget',
      'record-keeps-what-is-refused',
      'unheard-deciding-only',
    ] as const;
    for (const name of guards) notices(name);
    // They take longer to be noticed, and the SQL is the same.
    if (kind !== 'embedded') for (const name of longer) notices(name);

    function notices(name: MutationName): void {
      test(`notices SQL in which ${MUTATIONS[name].breaks}`, async () => {
        const sql = { ...SQL, ...(await loadStatements(MUTATIONS[name])) };
        for (let seed = 1; seed <= 240; seed += 1) {
          if ((await compare(ledger, { seed, deeds: DEEDS, sql })) !== undefined) return;
        }
        assert.fail(`${name} makes no difference`);
      });
    }
  });
});
