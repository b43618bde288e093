import { oneLine } from '../core/text.ts';
import type { Evidence, NotSent, Uncertain } from '../core/outcome.ts';
import type { Problem } from './answer.ts';

interface Failure {
  phase: Evidence['phase'];
  problem: Problem;
}

/** A call without an answer: not sent if the request had not begun, or else uncertain. */
export function judgeFailure(
  failure: Failure,
  { host, redact, proxies }: { host: string; redact: (text: string) => string; proxies?: readonly string[] },
): NotSent | Uncertain {
  const { phase, problem } = failure;
  const message = oneLine(redact(formatFailure(failure, host, proxies)));
  const evidence: Evidence = { code: problem.code, message, phase };
  return phase === 'connecting' ? { kind: 'not-sent', retry: {}, evidence } : { kind: 'uncertain', evidence };
}

const CONNECTING: Readonly<Record<string, (host: string) => string>> = {
  ENOTFOUND: (host) => `the host name of ${host} cannot be resolved`,
  EAI_AGAIN: (host) => `the host name of ${host} cannot be resolved now`,
  ECONNREFUSED: (host) => `${host} refuses connections`,
  ECONNRESET: (host) => `${host} closed the connection before the request began`,
  UND_ERR_CONNECT_TIMEOUT: (host) => `${host} does not answer to a connection`,
  STALE_CLAIM: (host) => `more than 5 s passed between the claim and the request to ${host}: not sent`,
  TIMEOUT: (host) => `no connection to ${host} in time`,
  UND_ERR_CLOSED: () => 'the client is closed',
  UND_ERR_DESTROYED: () => 'the client is closed',
};

/** Failures that a missing proxy may cause. */
const NETWORK = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'TIMEOUT',
]);

/** One line that says how far the call got. */
export function formatFailure(
  { phase, problem }: Failure,
  host: string,
  proxies: readonly string[] = [],
): string {
  if (phase !== 'connecting') return `${problem.message}, after the request to ${host} had begun`;
  const known = Object.hasOwn(CONNECTING, problem.code) ? CONNECTING[problem.code] : undefined;
  const what = known === undefined ? `cannot connect to ${host}: ${problem.message}` : known(host);
  if (proxies.length === 0 || !NETWORK.has(problem.code)) return what;
  return `${what}; vidbatch uses no proxy, although ${proxies.join(' and ')} ${proxies.length === 1 ? 'is' : 'are'} set`;
}
