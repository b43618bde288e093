import assert from 'node:assert/strict';
import type { Point } from '../../src/core/crash-points.ts';
import { describe as tell, exits } from '../cli.ts';
import { exitCodeFor, findings, type Findings } from './findings.ts';
import { stops, type CrashCli } from './crash-cli.ts';

/** A worker that is stopped at a point for longer than its attempt may take. */
export interface Stop {
  point: Point;
  time?: number;
  /** A person, who sees that nothing came of it, calls its row not sent, and it is sent again before the worker wakes. */
  calledNotSent?: true;
  /** The write had begun: whether it still reaches the provider depends on a connection that grew old. */
  mayStayUnknown?: true;
}

/** Each way of a row on which another process can look at it. */
export const STOPS: readonly Stop[] = [
  { point: 'job-taken', time: 2 },
  { point: 'claimed', time: 2, calledNotSent: true },
  { point: 'intended', time: 2, calledNotSent: true },
  { point: 'connected', time: 2, calledNotSent: true },
  { point: 'sending', time: 2, mayStayUnknown: true },
  { point: 'sent', time: 2 },
  { point: 'answering', time: 2 },
  { point: 'answered', time: 2 },
  { point: 'answer-journaled', time: 2 },
  { point: 'recorded', time: 2 },
  { point: 'job-completed', time: 2 },
];

/** What became of each batch, by the point at which its first worker stood still. */
export type Woken = ReadonlyMap<string, Findings>;

/**
 * A worker for each stop stands still there; after their deadlines another one does what is left, and a person settles
 * what he can; then all of them wake up.
 */
export async function sleepThrough(cli: CrashCli, all: readonly Stop[]): Promise<Woken> {
  const files = new Map<Point, string>();
  for (const { point } of all) files.set(point, await cli.manifest(point));
  const run = (points: readonly Point[]): string[] => [
    'run',
    ...points.map((point) => files.get(point) ?? ''),
  ];
  const asleep = await Promise.all(
    all.map(({ point, time = 1 }) => stops(cli, { point, time }, [...run([point]), '--concurrency', '1'])),
  );
  await cli.later();

  const points = [...files.keys()];
  const other = await cli.run(run(points));
  exits(other, exitCodeFor((await findings(cli, points)).values()));
  const settled = all.filter(({ calledNotSent }) => calledNotSent === true).map(({ point }) => point);
  for (const point of settled) {
    exits(
      await cli.run(['resolve', point, '--all', '--not-sent', '--yes', '--reason', 'nothing came of it']),
      0,
    );
  }
  if (settled.length > 0) {
    const again = await cli.run(run(settled));
    assert.ok(again.code === 0 || again.code === 4, tell(again));
  }

  for (const worker of asleep) worker.kill('SIGCONT');
  const woken = await Promise.all(asleep.map((worker) => worker.ended));
  const found = await findings(cli, points);
  for (const [index, { point }] of all.entries()) {
    const [one, ended] = [found.get(point), woken[index]];
    if (one !== undefined && ended !== undefined) exits(ended, exitCodeFor([one]));
  }
  return found;
}
