import { join } from 'node:path';
import { Client } from 'pg';
import type { QuotaResult } from './quota.ts';
import { writeManifest } from './rows.ts';
import type { Stage } from './stage.ts';
import { spreadOf } from './statistics.ts';
import { envOf, newPlaces, startWorker, until, vidbatch } from './vidbatch.ts';

export const FAIRNESS = 'fairness';

const SMALL = 10;
const LATENCY_MS = 50;
/** Of the large batch, so many are accepted before the first small one comes. */
const BUSY = 100;
/** A small multiple. */
const MOST = 5;

export interface FairnessCase {
  /** Of the large batch. */
  rows: number;
  rounds: number;
}

/** How the small batches are submitted, and how the worker works. Each has a ledger of its own: a priority changes it. */
const MANNERS = [
  { told: 'with the defaults', submit: [], work: [] },
  { told: 'with --priority 10', submit: ['--priority', '10'], work: [] },
  { told: 'with --queue-depth 50', submit: ['--queue-depth', '50'], work: ['--queue-depth', '50'] },
];

type Manner = (typeof MANNERS)[number];

/** Seconds from the moment when a small batch is in the ledger until its last task id is, of each round. */
interface Times {
  alone: number[];
  beside: number[];
}

export async function measureFairness(
  stage: Stage,
  { rows, rounds }: FairnessCase,
  tell: (line: string) => void,
): Promise<QuotaResult> {
  const figures: QuotaResult['figures'] = [];
  for (const manner of MANNERS) {
    const { alone, beside } = await timesOf(stage, { rows, rounds }, manner);
    const ratio = spreadOf(beside.map((seconds, round) => seconds / (alone[round] ?? NaN)));
    const seconds = (all: number[]): string => `${spreadOf(all).median.toFixed(2)} s`;
    const range = `${ratio.min.toFixed(1)} to ${ratio.max.toFixed(1)}`;
    const what = `${manner.told}: ${seconds(beside)} / ${seconds(alone)} (${range})`;
    figures.push({ what, value: ratio.median, target: `at most ${MOST}`, met: ratio.median <= MOST });
    tell(`  ${ratio.median.toFixed(1)}  ${what}`);
  }
  const title = `${SMALL} rows beside ${rows.toLocaleString('en')}, / alone on the same worker; the target answers after ${LATENCY_MS} ms`;
  return { name: FAIRNESS, title, figures };
}

async function timesOf(stage: Stage, { rows, rounds }: FairnessCase, manner: Manner): Promise<Times> {
  const folder = await stage.folder();
  const places = await newPlaces(stage);
  const env = envOf(stage, join(folder, 'data'), places);
  const ledger = new Client({ connectionString: places['DATABASE_URL'] });
  await stage.target.begin(LATENCY_MS);
  const submit = async (
    name: string,
    from: number,
    count: number,
    flags: readonly string[],
  ): Promise<void> => {
    const manifest = join(folder, `${name}.csv`);
    await writeManifest(manifest, count, from);
    await vidbatch(stage, folder, env, ['submit', manifest, ...flags]);
  };
  // Makes the ledger, and is what a worker does for the first time.
  await submit('first', 0, SMALL, []);
  const worker = await startWorker(stage, folder, env, manner.work);
  try {
    await ledger.connect();
    let from = SMALL;
    const small = async (name: string): Promise<number> => {
      await submit(name, from, SMALL, manner.submit);
      from += SMALL;
      return secondsOf(ledger, name, worker.over);
    };
    await secondsOf(ledger, 'first', worker.over);
    const times: Times = { alone: [], beside: [] };
    for (let round = 0; round < rounds; round += 1) times.alone.push(await small(`alone-${round}`));
    await submit('large', SMALL * (2 * rounds + 1), rows, manner.work);
    await until(async () => (await acceptedOf(ledger, 'large')) >= BUSY, worker.over);
    for (let round = 0; round < rounds; round += 1) times.beside.push(await small(`beside-${round}`));
    if ((await acceptedOf(ledger, 'large')) === rows)
      throw new Error(
        `the large batch was over before the last small one: --rows has to be more than ${rows}`,
      );
    await worker.stop();
    const [{ posts }, accepted] = [await stage.target.seen(), await acceptedOf(ledger, '%')];
    if (posts !== accepted) throw new Error(`the target saw ${posts} POSTs, the ledger ${accepted} task ids`);
    return times;
  } finally {
    await worker.stop();
    await ledger.end();
  }
}

/** Waits until all of a small batch is accepted. By the ledger's own clock, so that looking at it adds nothing. */
async function secondsOf(ledger: Client, batch: string, over: AbortSignal): Promise<number> {
  await until(async () => (await acceptedOf(ledger, batch)) === SMALL, over);
  const { rows } = await ledger.query<{ seconds: number }>(
    `select extract(epoch from max(s.submitted_at) - b.created_at)::float8 as seconds
       from vidbatch.batch b join vidbatch.submission s on s.batch_id = b.id where b.name = $1 group by b.id`,
    [batch],
  );
  return rows[0]?.seconds ?? NaN;
}

async function acceptedOf(ledger: Client, batch: string): Promise<number> {
  const { rows } = await ledger.query<{ n: number }>(
    `select count(*)::int as n from vidbatch.batch b join vidbatch.submission s on s.batch_id = b.id
      where b.name like $1 and s.state = 'submitted'`,
    [batch],
  );
  return rows[0]?.n ?? 0;
}
