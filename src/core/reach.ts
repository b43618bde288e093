import type { Outcome } from './outcome.ts';

/** Why we ourselves did not send: it says nothing of the provider. */
const OUR_OWN = new Set([
  'NO_JOURNAL',
  'IN_DOUBT',
  'STALE_CLAIM',
  'NEVER_SENT',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
]);

/** Nobody was there: the name is not known, the connection was refused, TLS failed. No row is to blame for it. */
export function isUnreached({ kind, evidence: { phase, code = '' } }: Outcome): boolean {
  return kind === 'not-sent' && phase === 'connecting' && !OUR_OWN.has(code);
}

/** Somebody was there, whatever was said. */
export function isReached({ evidence }: Outcome): boolean {
  return evidence.phase !== 'connecting';
}
