import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { exits, json, jsonLines, openCli, type Cli } from '../cli.ts';
import { createDatabase, servers } from '../servers.ts';
import { csvOf, paidTwice } from './manifest.ts';
import { startSimulatorProcess } from './simulator.ts';

const ROWS = 120;
/** Five seconds of 0.10 each: 61 of them, and a rest that pays for none. */
const PRICES = '{"viduq3p-720p": {"perSecond": "0.10", "currency": "CNY"}}';
const BUDGET = { amount: '30.70CNY', rows: 61 };

describe('four workers and a budget, on Redis and Postgres', async () => {
  const shared = await servers();
  // Some rows are refused, and give back what they held.
  const [simulator, database] = await Promise.all([
    startSimulatorProcess('--latency', '20ms', '--fault', 'policy=0.15'),
    createDatabase(shared),
  ]);
  const env = {
    REDIS_URL: shared.redisUrl,
    DATABASE_URL: database.url,
    VIDBATCH_BASE_URL: simulator.url,
    VIDBATCH_API_KEY: 'sk-e2e',
  };
  const places = await Promise.all(Array.from({ length: 4 }, () => openCli(env)));
  const [here] = places as [Cli, ...Cli[]];
  after(async () => {
    await Promise.all(places.map(({ close }) => close()));
    await simulator.close();
    await database.drop();
  });

  it('is never exceeded, not even by one row; a run that reaches it ends with 6, and a higher budget continues', async () => {
    const file = await here.write('dear.csv', csvOf(ROWS, 'dear'));
    const prices = ['--prices', await here.write('prices.json', PRICES)];
    const first = exits(await here.run(['submit', file, ...prices, '--budget', BUDGET.amount]), 0);
    assert.match(first.stderr, /does not pay for all rows: 30\.70 CNY: .+ · at least 59 rows do not fit/);
    const ends = await Promise.all(places.map((place) => place.run(['work', '--drain'])));
    for (const ended of ends) exits(ended, 6);
    assert.equal(simulator.accepted().length, BUDGET.rows);

    const status = json(exits(await here.run(['status', 'dear', '--json']), 0)) as Record<string, unknown>;
    const { told, beyond, ...budget } = status['budget'] as Record<string, unknown>;
    assert.deepEqual(budget, {
      currency: 'CNY',
      budget: '30.7',
      spent: '30.5',
      reserved: '0',
      left: '0.2',
    });
    assert.ok(Number(beyond) > 30, 'most of the others were not tried');
    assert.match(
      String(told),
      /^30\.70 CNY: 30\.50 CNY spent · 0\.00 CNY held · 0\.20 CNY left · (?:at least )?\d+ rows do not fit$/,
    );
    const text = exits(await here.run(['status', 'dear']), 0).stdout;
    assert.match(text, /^ {2}waiting: budget: no remaining row fits the budget of 30\.70 CNY: /m);
    assert.match(
      text,
      /`vidbatch run \S+dear\.csv --batch dear --budget \d+\.\d\dCNY`, or `submit`, pays for all of them$/m,
    );
    assert.equal(text.match(/0\.20 CNY left/g)?.length, 1, 'the numbers are told once');
    // Which rows are left depends on who fed first.
    const exported = exits(await here.run(['export', 'dear', '--format', 'jsonl']), 0).stdout;
    const left = jsonLines<{ row_key: string; state: string }>(exported).find(
      ({ state }) => state === 'pending',
    );
    const waiting = exits(await here.run(['explain', 'dear', left?.row_key ?? '']), 0).stdout;
    assert.match(waiting, /price +at most 0\.50 CNY\n/);
    assert.match(waiting, /waiting +budget: .+\nnext +`vidbatch run .+ --budget …`, or `submit`,/);
    exits(await here.run(['verify']), 0);

    const last = exits(await here.run(['run', file, '--budget', '100CNY', '--json']), 4);
    const { counts } = json(last) as { counts: Record<string, number> };
    const accepted = simulator.accepted();
    assert.equal(accepted.length, counts['submitted']);
    assert.equal(accepted.length + (counts['rejected'] ?? 0), ROWS);
    assert.deepEqual(paidTwice(accepted), []);
  });

  it('for a row without a price brings nothing in', async () => {
    const file = await here.write('other.csv', csvOf(2, 'other'));
    const unpriced = exits(await here.run(['run', file, '--budget', '5CNY']), 2);
    assert.match(
      unpriced.stderr,
      /row other-1 \(line 2, viduq3p-720p\) has no known price.+\[PRICE_UNKNOWN\]/,
    );
    assert.match(exits(await here.run(['run', file, '--budget', '5']), 2).stderr, /\[BAD_BUDGET\]/);
  });
});
