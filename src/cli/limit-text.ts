import type { LimitInForce } from '../ledger/send/quota.ts';
import { count } from '../core/format.ts';

/** `20/s · 3 of 5 tasks in flight · viduq3p-1080p 2/s` */
export function limitsTold(limits: readonly Omit<LimitInForce, 'origin'>[]): string {
  return limits
    .map(({ model, perSecond, found, maxInFlight, inFlight, uncertain }) => {
      const parts = [
        ...(perSecond === null ? [] : [`${rate(perSecond)}${found ? ' (found)' : ''}`]),
        ...(maxInFlight === null ? [] : [`${count(inFlight ?? 0)} of ${count(maxInFlight)} tasks in flight`]),
        // They may keep all others waiting, and only a person knows better.
        ...(uncertain === null || uncertain === 0
          ? []
          : [
              `${count(uncertain)} of them uncertain: \`vidbatch uncertain\` lists them, \`resolve\` frees their places`,
            ]),
      ];
      return parts.length === 0 ? '' : `${model === null ? '' : `${model} `}${parts.join(', ')}`;
    })
    .filter(Boolean)
    .join(' · ');
}

function rate(perSecond: number): string {
  return perSecond >= 1
    ? `${Number(perSecond.toPrecision(3))}/s`
    : `${Number((perSecond * 60).toPrecision(3))}/m`;
}
