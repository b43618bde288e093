import { STATES } from '../core/states.ts';
import { formatCount } from '../core/units.ts';
import type { SeenRun, SeenSchedule } from '../schedule/view.ts';

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
  const parts = STATES.filter((one) => counts[one] > 0).map((one) => `${formatCount(counts[one])} ${one}`);
  return `${batch}: ${parts.join(', ')}`;
}
