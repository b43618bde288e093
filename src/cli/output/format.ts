import { messageOf, VidbatchError } from '../../core/errors.ts';
import { formatCount, plural } from '../../core/units.ts';
import type { AnsweredCosts } from '../../ledger/tasks/costs.ts';
import type { LimitInForce } from '../../ledger/send/quota.ts';
import { Styled, type Line } from './style.ts';

/** The lines that show an error to a person. */
export function formatError(error: unknown): Line[] {
  const { code, message, hint } = errorJson(error);
  // The code follows the headline, and not the last of the listed rows.
  const [headline = '', ...listed] = message.split('\n');
  return [
    [new Styled('bad', 'vidbatch:'), ` ${headline} [${code}]`],
    ...listed,
    ...(hint === null ? [] : [`  ${hint}`]),
  ];
}

/** The same for a program. */
export function errorJson(error: unknown): { code: string; message: string; hint: string | null } {
  const known = error instanceof VidbatchError ? error : undefined;
  return { code: known?.code ?? 'UNEXPECTED', message: messageOf(error), hint: known?.hint ?? null };
}

/** The provider did not answer polls. Most likely it is another provider than the one that has the tasks. */
export function providerSilent(
  { asked, unanswered, silent }: { asked: number; unanswered: number; silent?: string | null },
  more = '',
): VidbatchError {
  const none = asked === 1 ? 'did not answer the one poll' : `answered none of ${formatCount(asked)} polls`;
  const what = unanswered === asked ? none : `answers no longer: ${silent ?? 'the reason is not known'}`;
  return new VidbatchError('PROVIDER_SILENT', `the provider ${what}`, {
    hint: `Check VIDBATCH_BASE_URL and VIDBATCH_API_KEY.${more}`,
  });
}

/** `7.5 coin for 3 tasks · 1 ended task tells none`; undefined: no answer tells a cost. */
export function formatCosts({ sums, untold }: AnsweredCosts): string | undefined {
  if (untold === null) return undefined;
  const parts = sums.map(({ unit, amount, tasks }) => `${amount} ${unit} for ${plural(tasks, 'task')}`);
  return [
    parts.join(' and '),
    ...(untold === 0 ? [] : [plural(untold, 'ended task tells none', 'ended tasks tell none')]),
  ].join(' · ');
}

/** `20/s · 3 of 5 tasks in flight · viduq3p-1080p 2/s` */
export function formatLimits(limits: readonly Omit<LimitInForce, 'origin'>[]): string {
  return limits
    .map(({ model, perSecond, found, maxInFlight, inFlight, uncertain }) => {
      const parts = [
        ...(perSecond === null ? [] : [`${formatRate(perSecond)}${found ? ' (found)' : ''}`]),
        ...(maxInFlight === null
          ? []
          : [`${formatCount(inFlight ?? 0)} of ${formatCount(maxInFlight)} tasks in flight`]),
        // Uncertain rows may block all others, and only a person can settle them.
        ...(uncertain === null || uncertain === 0
          ? []
          : [
              `${formatCount(uncertain)} of them uncertain: \`vidbatch uncertain\` lists them, \`resolve\` frees their places`,
            ]),
      ];
      return parts.length === 0 ? '' : `${model === null ? '' : `${model} `}${parts.join(', ')}`;
    })
    .filter(Boolean)
    .join(' · ');
}

/** `20/s`, or `30/m` for less than one a second. */
export function formatRate(perSecond: number): string {
  return perSecond >= 1
    ? `${Number(perSecond.toPrecision(3))}/s`
    : `${Number((perSecond * 60).toPrecision(3))}/m`;
}
