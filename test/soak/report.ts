import type { RoundResult } from './round.ts';

/** What is counted over all rounds. */
export interface Totals {
  rounds: number;
  rows: number;
  kills: number;
  byKind: { worker: number; producer: number; redis: number; postgres: number };
  faults: number;
  partitions: number;
  flushes: number;
  freezes: number;
  restores: number;
  commands: number;
  acceptedTwice: number;
  byPerson: number;
  taskIdsLost: number;
  rowsLost: number;
  uncertain: number;
  uncertainAccepted: number;
  violations: number;
}

export function noTotals(): Totals {
  return {
    rounds: 0,
    rows: 0,
    kills: 0,
    byKind: { worker: 0, producer: 0, redis: 0, postgres: 0 },
    faults: 0,
    partitions: 0,
    flushes: 0,
    freezes: 0,
    restores: 0,
    commands: 0,
    acceptedTwice: 0,
    byPerson: 0,
    taskIdsLost: 0,
    rowsLost: 0,
    uncertain: 0,
    uncertainAccepted: 0,
    violations: 0,
  };
}

export function killsOf({ kills }: Pick<RoundResult, 'kills'>): number {
  return Object.values(kills).reduce((sum, n) => sum + n, 0);
}

export function add(totals: Totals, result: RoundResult): void {
  totals.rounds += 1;
  totals.rows += result.rows;
  totals.kills += killsOf(result);
  for (const kind of ['worker', 'producer', 'redis', 'postgres'] as const) {
    totals.byKind[kind] += result.kills[kind];
  }
  for (const what of [
    'faults',
    'partitions',
    'flushes',
    'freezes',
    'restores',
    'commands',
    'byPerson',
    'uncertain',
    'uncertainAccepted',
  ] as const) {
    totals[what] += result[what];
  }
  for (const what of ['acceptedTwice', 'taskIdsLost', 'rowsLost', 'violations'] as const) {
    totals[what] += result[what].length;
  }
}

/** One line for one round. */
export function roundLine(result: RoundResult): string {
  const { plan, kills, gaveUp } = result;
  const parts = [
    `round ${plan.round}`,
    plan.storage,
    `${result.rows} rows`,
    `${killsOf(result)} kills (${kills.worker} worker, ${kills.producer} producer, ${kills.redis} redis, ${kills.postgres} postgres)`,
    `${result.faults} faults`,
    `${result.partitions} partitions`,
    `${result.restores} restored`,
    `${result.commands} commands`,
    `accepted twice ${result.acceptedTwice.length}`,
    `task ids lost ${result.taskIdsLost.length}`,
    `rows lost ${result.rowsLost.length}`,
    `uncertain ${result.uncertain} (${result.uncertainAccepted} accepted)`,
    `${result.leftForTheEnd} at the end`,
    `${result.seconds.toFixed(0)} s`,
  ];
  const away = [...gaveUp].map(([code, times]) => `${code} ${times}`);
  return [...parts, ...away].join(' · ');
}

export function table(totals: Totals, seconds: number): string {
  const { byKind } = totals;
  const rows: [string, string][] = [
    ['rounds', `${totals.rounds}`],
    ['rows', `${totals.rows}`],
    [
      'kills',
      `${totals.kills} (${byKind.worker} workers, ${byKind.producer} producers, ${byKind.redis} Redis, ${byKind.postgres} Postgres)`,
    ],
    ['faults of the provider', `${totals.faults}`],
    ['partitions', `${totals.partitions}`],
    ['queues flushed', `${totals.flushes}`],
    ['workers frozen', `${totals.freezes}`],
    ['ledgers restored', `${totals.restores}`],
    ['operator commands', `${totals.commands}`],
    ['rows accepted twice', `${totals.acceptedTwice}`],
    ['  by a wrong --not-sent', `${totals.byPerson}`],
    ['task ids lost', `${totals.taskIdsLost}`],
    ['rows lost', `${totals.rowsLost}`],
    ['uncertain rows', `${totals.uncertain}`],
    ['  accepted in truth', `${totals.uncertainAccepted}`],
    ['violations', `${totals.violations}`],
    ['minutes', (seconds / 60).toFixed(1)],
  ];
  return rows.map(([name, value]) => `${name.padEnd(26)}${value}`).join('\n');
}
