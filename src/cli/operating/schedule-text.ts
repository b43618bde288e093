import { STATES, type Counts } from '../../core/states.ts';
import { formatCount, formatDistance } from '../../core/units.ts';
import type { SeenRun, SeenSchedule } from '../../schedule/view.ts';
import { Styled, type Line } from '../output/style.ts';
import { formatTable, type Cell } from '../output/table.ts';

/** A line for each schedule; what a failed run said is below, because it is long. */
export function formatSchedules(all: readonly SeenSchedule[], width: number, now: number): Line[] {
  if (all.length === 0) return ['no schedules'];
  return [
    ...formatTable<SeenSchedule>(
      [
        { title: 'schedule', least: 10, of: ({ name }) => name },
        { title: 'state', of: stateOf },
        { title: 'cron', of: ({ cron }) => cron },
        { title: 'zone', drop: 2, of: ({ zone }) => zone },
        { title: 'next run', drop: 1, of: ({ next }) => formatNext(next[0], now) },
        { title: 'last run', least: 20, of: ({ last }) => (last === null ? 'none yet' : formatEnd(last)) },
        { title: 'manifest', least: 12, drop: 3, of: ({ manifest }) => manifest },
      ],
      all,
      width,
    ),
    ...all.flatMap(({ failing, last }): Line[] =>
      failing && last !== null ? ['', [new Styled('bad', 'failed'), `  ${formatRun(last)}`]] : [],
    ),
  ];
}

function stateOf({ paused, failing }: SeenSchedule): Cell {
  if (failing) return new Styled('bad', 'failed');
  return paused ? new Styled('warning', 'paused') : new Styled('good', 'active');
}

/** `2030-11-25 23:00 +08:00, in 3h 20m`, in the zone of the schedule. */
function formatNext(tick: string | undefined, now: number): string {
  if (tick === undefined) return '';
  const [, day, time, offset] = /^(\S+)T(\d\d:\d\d):\d\d(?:\.\d+)?(.*)$/.exec(tick) ?? [];
  return `${day} ${time} ${offset}, in ${formatDistance(Date.parse(tick) - now)}`;
}

/** `48 submitted, 2 rejected` */
function formatEnd({ state, counts }: SeenRun): string {
  return counts === null ? state : formatCounts(counts);
}

export function formatSchedule(seen: SeenSchedule): string {
  const { name, cron, zone, manifest, next, paused, last } = seen;
  return [
    `${name}: ${cron} in ${zone} · ${manifest}`,
    paused
      ? `  next  none: paused; \`vidbatch schedule resume ${name}\``
      : `  next  ${next.join('\n        ')}`,
    ...(last === null ? [] : [`  last  ${formatRun(last)}`]),
  ].join('\n');
}

/** A schedule with its policies and its newest runs. */
export function formatScheduleDetails(seen: SeenSchedule, runs: readonly SeenRun[]): string {
  const { overlap, missed, jitterMs, flags } = seen;
  const policies = [
    `overlap ${overlap}`,
    `missed ${missed}`,
    ...(jitterMs === 0 ? [] : [`jitter up to ${jitterMs / 1000}s`]),
    ...Object.entries(flags).map(([name, value]) => `${name} ${String(value)}`),
  ];
  return [
    formatSchedule({ ...seen, last: null }),
    `  rules ${policies.join(' · ')}`,
    ...(runs.length === 0 ? ['  runs  none yet'] : runs.map((run) => `  run   ${formatRun(run)}`)),
  ].join('\n');
}

/** `nightly@20261122T230000+0800: 48 submitted, 2 rejected` */
function formatRun({ batch, state, reason, code, counts }: SeenRun): string {
  if (counts === null) {
    if (reason === null) return `${batch}: ${state === 'taken' ? 'is being made' : 'is due'}`;
    return `${batch}: ${state}: ${reason}${code === null ? '' : ` [${code}]`}`;
  }
  return `${batch}: ${formatCounts(counts)}`;
}

function formatCounts(counts: Counts): string {
  return STATES.filter((one) => counts[one] > 0)
    .map((one) => `${formatCount(counts[one])} ${one}`)
    .join(', ');
}
