/** `npm run soak`: random faults, kills, partitions and commands against the real program, for as long as wanted. */
import { parseArgs } from 'node:util';
import { roundLine, table } from './report.ts';
import { isStorage, soak } from './soak.ts';

const HELP = `npm run soak -- [options]

Rounds of random faults, kills (workers, producers, Redis, Postgres), partitions and operator commands against the
real command line, the simulator, and private servers. Each round ends with everything healed and the rest
sent; then the ledger is compared with the provider's own record.

  --seed N       what is done, and in which order, follows from it (default: the time)
  --from N       number of the first round (default: 0); a round's plan does not depend on those before it
  --rounds N     end after so many rounds
  --minutes M    begin no round after so many minutes (default: 35)
  --kills K      end after K kills and
  --rows R       R rows, both (default: 1000 and 100000)
  --round-rows N --round-kills N   size of a round (default: 5000 and 50; embedded ones are smaller)
  --storage S    redis+postgres | postgres | embedded | redis+embedded | all (default: all)

The plan of a round is the same for the same seed; what the processes make of it is up to the machine's scheduler, so
a failure may need several tries to come back. Exit code 1: the promise was broken, or something ended in a way that
it must not.`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    from: { type: 'string', default: '0' },
    rounds: { type: 'string', default: 'Infinity' },
    minutes: { type: 'string', default: '35' },
    kills: { type: 'string', default: '1000' },
    rows: { type: 'string', default: '100000' },
    'round-rows': { type: 'string', default: '5000' },
    'round-kills': { type: 'string', default: '50' },
    storage: { type: 'string', default: 'all' },
    help: { type: 'boolean', default: false },
  },
});

function number(name: Exclude<keyof typeof values, 'help'>, fallback = Number.NaN): number {
  const text = values[name];
  const value = text === undefined ? fallback : Number(text);
  if (!(value >= 0)) throw new Error(`--${name}: "${text}" is not a number`);
  return value;
}

async function main(): Promise<number> {
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const { storage } = values;
  if (!isStorage(storage)) throw new Error(`--storage: "${storage}" is not known\n\n${HELP}`);
  const seed = number('seed', Date.now() % 1_000_000);
  const size = { rows: number('round-rows'), kills: number('round-kills') };
  const begun = performance.now();
  console.log(`seed ${seed}`);
  const again = (round: number): string =>
    `  again: npm run soak -- --seed ${seed} --from ${round} --rounds 1 --storage ${storage} --round-rows ${size.rows} --round-kills ${size.kills}`;
  const totals = await soak({
    seed,
    from: number('from'),
    rounds: number('rounds'),
    minutes: number('minutes'),
    kills: number('kills'),
    rows: number('rows'),
    storage,
    size,
    onRound(result) {
      console.log(roundLine(result));
      if (result.violations.length === 0) return;
      for (const violation of result.violations.slice(0, 20)) console.log(`  VIOLATION ${violation}`);
      console.log(again(result.plan.round));
    },
    onBroken(round, error) {
      console.log(`round ${round} broke off: ${error instanceof Error ? error.stack : String(error)}`);
      console.log(again(round));
    },
  });
  console.log(`\nseed ${seed}\n${table(totals, (performance.now() - begun) / 1000)}`);
  return totals.violations > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`soak: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.exitCode = 1;
}
