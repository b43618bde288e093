import { isDeepStrictEqual } from 'node:util';
import { AVALANCHE } from '../../src/ledger/send/decide/limits.ts';
import { sameKeyOf } from '../../src/core/retry-policy.ts';
import { parseWindow } from '../../src/core/time/window.ts';
import { deedOf, ORIGINS, plain, SQL, type Sql } from './deed.ts';
import { randomOf } from './random.ts';
import { asRead, type SqlLedger } from './sql.ts';
import { newLedger } from './start.ts';

const BEGIN_MS = Date.UTC(2026, 2, 4);
const PAUSES_MS = [1, 1, 1, 1000, 20_000, 61_000, 1_000_000, 13 * 3_600_000];

const OFF_PEAK_ROWS = [12, 22];
/** The pauses make some sequences cross some of their ends, and the change of the clocks in New York. */
const WINDOWS = [
  '23:43:20-00:01:02,00:16:40-00:17:40,01:23:20-13:53:20 UTC',
  'Wed 00:00-24:00 UTC; Thu 00:00-01:00 UTC; Sat-Sun 19:00-02:30 America/New_York',
  '23:59:50-23:59:58 UTC',
].map((text) => parseWindow('the comparison', text));

/** Reading everything costs more than most deeds; a difference that is seen late is looked for again, step by step. */
const READ_EVERY = 5;

export interface Sequence {
  seed: number;
  deeds: number;
  sql?: Sql;
  readEvery?: number;
}

/** Does the same to the model and to the real ledger; returns the first difference, if there is one. */
export async function compare(
  ledger: SqlLedger,
  { seed, deeds, sql = SQL, readEvery = READ_EVERY }: Sequence,
): Promise<string | undefined> {
  const random = randomOf(seed);
  const twin = newLedger([
    { origin: ORIGINS[0], proven: true, rows: 3 },
    { origin: ORIGINS[0], proven: false, rows: 2 },
    { origin: ORIGINS[1], proven: true, rows: 1 },
  ]);
  const canaryRows = random.pick([null, null, 1, 2]);
  Object.assign(twin.batches.get(2) ?? {}, { canaryRows, canaries: canaryRows ?? 0 });
  Object.assign(twin.batches.get(1) ?? {}, {
    failShare: random.pick([null, null, 0.25]),
    succeeded: 36,
    failed: 11,
  });
  for (const gateway of twin.gateways.values()) {
    gateway.unreachedStreak = random.pick([0, 0, AVALANCHE.unreachedInARow - 2]);
  }
  twin.at = BEGIN_MS;
  for (const id of OFF_PEAK_ROWS) Object.assign(twin.rows.get(id) ?? {}, { offPeak: true });
  twin.windows = new Map(WINDOWS.map((window, n) => [n + 1, window]));
  // Rows of any price, some of none and some in another currency.
  for (const row of twin.rows.values()) {
    const price = random.pick([0, 1, 2, 3, 5, 5, 5, null]);
    Object.assign(row, {
      price,
      currency: price === null ? null : random.pick(['CNY', 'CNY', 'CNY', 'USD']),
    });
  }
  await ledger.setClock(twin.at);
  await ledger.fill(twin);
  const done: string[] = [];
  for (let n = 1; n <= deeds; n += 1) {
    twin.at += random.pick(PAUSES_MS);
    await ledger.setClock(twin.at);
    const deed = deedOf(random, twin, random.pick([undefined, sameKeyOf({ providerIdempotent: true })]));
    done.push(deed.what);
    const before = twin.copy();
    const [ours, theirs] = [attempted(() => deed.inModel(twin)), await deed.inSql(ledger, sql).catch(failed)];
    // A statement happens whole or not at all.
    if (ours === FAILED) twin.restore(before);
    let difference = tell(seed, done, 'answers', plain(ours), plain(theirs));
    if (difference === undefined && (n % readEvery === 0 || n === deeds)) {
      const stored = plainAttempts(await ledger.read());
      difference = tell(seed, done, 'leaves', plainAttempts(asRead(twin)), stored);
    }
    if (difference === undefined) continue;
    if (readEvery === 1) return difference;
    return (await compare(ledger, { seed, deeds: n, sql, readEvery: 1 })) ?? difference;
  }
  return undefined;
}

const FAILED = 'fails';

function attempted(act: () => unknown): unknown {
  try {
    return act();
  } catch {
    return FAILED;
  }
}

function failed(error: { code?: string }): string {
  // Class 23: what a CHECK or a key refuses.
  if (error.code?.startsWith('23') !== true) throw error as Error;
  return FAILED;
}

/** The id of an attempt that stands for a person's word is nobody's business. */
function plainAttempts(state: unknown): unknown {
  const text = JSON.stringify(state);
  const { attempts } = state as { attempts: { id: string; worker: string }[] };
  return JSON.parse(
    attempts
      .filter(({ worker }) => worker.startsWith('resolve'))
      .reduce((told, { id }) => told.replaceAll(`"${id}"`, '"said"'), text),
  );
}

function tell(
  seed: number,
  done: readonly string[],
  verb: string,
  ours: unknown,
  theirs: unknown,
): string | undefined {
  if (isDeepStrictEqual(ours, theirs)) return undefined;
  return [
    `seed ${seed}: after`,
    ...done.slice(-8).map((what) => `  ${what}`),
    `the model ${verb} something else than the ledger:`,
    ...unlike('', ours, theirs).slice(0, 12),
  ].join('\n');
}

/** Where two values differ, and how. */
function unlike(where: string, ours: unknown, theirs: unknown): string[] {
  if (isDeepStrictEqual(ours, theirs)) return [];
  if (!isObject(ours) || !isObject(theirs)) {
    return [`  ${where}: ${JSON.stringify(ours)}, and ${JSON.stringify(theirs)}`];
  }
  const keys = new Set([...Object.keys(ours), ...Object.keys(theirs)]);
  return [...keys].flatMap((key) => unlike(`${where}.${key}`, ours[key], theirs[key]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object';
}
