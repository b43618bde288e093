import type { TellTime } from '../../core/time/tell-time.ts';
import { formatDistance } from '../../core/units.ts';

/** Times for people are in the zone of this machine, which TZ sets. `--json` has RFC 3339 in UTC. */

const DAY = { month: '2-digit', day: '2-digit' } as const;

/** `14:32`, or `12-01 14:32` on another day than `now`. */
export function formatClock(at: number, now: number): string {
  const time = new Date(at).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  return isSameDay(at, now) ? time : `${dayOf(at)} ${time}`;
}

function isSameDay(a: number, b: number): boolean {
  return new Date(a).toDateString() === new Date(b).toDateString();
}

function dayOf(at: number): string {
  return new Date(at).toLocaleDateString('en-CA', DAY);
}

/** `UTC`, `UTC+8`, `UTC-3:30` */
export function zoneLabel(at: number): string {
  const minutes = -new Date(at).getTimezoneOffset();
  if (minutes === 0) return 'UTC';
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `UTC${minutes < 0 ? '-' : '+'}${hours}${rest === 0 ? '' : `:${String(rest).padStart(2, '0')}`}`;
}

/** `2026-11-30 14:32:05 UTC+8` */
export function formatTime(at: Date): string {
  const day = at.toLocaleDateString('en-CA');
  return `${day} ${at.toLocaleTimeString('en-GB')} ${zoneLabel(at.getTime())}`;
}

/** `2026-11-30 14:32:05 UTC+8 (3m 20s ago)`; near a moment of the same day, `14:32:06`. */
export function tellLocal(now: number): TellTime {
  return (at, near) =>
    near !== undefined && isSameDay(at.getTime(), near.getTime())
      ? at.toLocaleTimeString('en-GB')
      : `${formatTime(at)} (${formatMoment(at.getTime() - now)})`;
}

/** `3m 20s ago`, `in 2h 05m`, `12 days ago` */
function formatMoment(ms: number): string {
  const far = formatDistance(Math.abs(ms));
  return ms > 0 ? `in ${far}` : `${far} ago`;
}
