import { formatCount, plural } from '../../core/units.ts';
import type { Check, Status } from '../../operate/doctor/check.ts';
import { Styled, type Line, type Look } from './style.ts';

const LOOKS: Readonly<Record<Status, Look>> = {
  ok: 'good',
  warning: 'warning',
  failed: 'bad',
  skipped: 'soft',
};

/** One check of the doctor: a line, and one for what to do. */
export function formatCheck({ check, status, what, hint }: Check): Line[] {
  const line = [new Styled(LOOKS[status], status.padEnd(8)), ` ${check}: ${what}`];
  return hint === null ? [line] : [line, `         ${hint}`];
}

/** `checked: 12 ok · 1 warning · 0 failed · 2 skipped` */
export function formatTotals(checks: readonly Check[]): string {
  const of = (wanted: Status): number => checks.filter(({ status }) => status === wanted).length;
  return [
    `checked: ${formatCount(of('ok'))} ok`,
    plural(of('warning'), 'warning'),
    `${formatCount(of('failed'))} failed`,
    `${formatCount(of('skipped'))} skipped`,
  ].join(' · ');
}
