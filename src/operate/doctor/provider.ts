import { messageOf } from '../../core/errors.ts';
import { headerOf } from '../../provider/answer.ts';
import type { Answer } from '../../provider/answer.ts';
import { describeFailure } from '../../provider/failure.ts';
import { readRefusal } from '../../provider/refusal.ts';
import { readTask } from '../../provider/task.ts';
import { oneLine } from '../../core/text.ts';
import { duration } from '../../core/format.ts';
import { failed, ok, warning } from './check.ts';
import type { Check } from './check.ts';
import type { ProviderFacts } from './provider-facts.ts';

const DAY_MS = 24 * 3_600_000;
const SOON_DAYS = 14;
/** Beyond what an answer's own way and its date's whole seconds explain. */
const MOST_SKEW_MS = 5_000;
const CHECK_URL = 'Check VIDBATCH_BASE_URL, the network and the firewall.';

/** `redact` takes the API key out of what the provider says. */
export function judgeProvider(facts: ProviderFacts, redact: (text: string) => string): Check[] {
  const checks = [judgeDns(facts)];
  if (facts.connectMs !== undefined) checks.push(judgeConnection(facts.connectMs, facts));
  if (facts.certificate !== undefined) checks.push(judgeCertificate(facts.certificate, facts.now));
  if (facts.answer?.kind === 'failure') {
    const what = describeFailure(facts.answer, new URL(facts.baseUrl).host);
    checks.push(failed('provider-answer', oneLine(redact(what)), CHECK_URL));
  }
  if (facts.answer?.kind === 'answer') checks.push(judgeAnswer(facts.answer.answer, redact));
  if (facts.skewMs !== undefined) checks.push(judgeClock(facts.skewMs));
  return checks;
}

function judgeDns({ baseUrl, addresses }: ProviderFacts): Check {
  const { hostname } = new URL(baseUrl);
  if (!(addresses instanceof Error)) return ok('provider-dns', `${hostname} is ${addresses.join(', ')}`);
  return failed('provider-dns', `${hostname} has no address: ${addresses.message}`, CHECK_URL);
}

function judgeConnection(connectMs: number | Error, { baseUrl }: ProviderFacts): Check {
  const { host } = new URL(baseUrl);
  if (!(connectMs instanceof Error)) {
    return ok('provider-connection', `${host} takes connections, ${connectMs.toFixed(1)} ms`);
  }
  return failed('provider-connection', `${host} takes no connection: ${reason(connectMs)}`, CHECK_URL);
}

function judgeCertificate(certificate: NonNullable<ProviderFacts['certificate']>, now: number): Check {
  const name = 'provider-certificate';
  if (certificate instanceof Error) {
    return failed(name, `no TLS connection: ${reason(certificate)}`, 'Does this port speak https at all?');
  }
  const { fault, validTo } = certificate;
  if (fault !== null) {
    return failed(
      name,
      `is not trusted: ${fault}`,
      'If it is your own authority’s, name its certificate with NODE_EXTRA_CA_CERTS.',
    );
  }
  const days = Math.floor((validTo - now) / DAY_MS);
  const what = `is trusted, until ${new Date(validTo).toISOString().slice(0, 10)} (${days} days)`;
  return days < SOON_DAYS
    ? warning(name, what, 'Whoever runs the provider has to renew it.')
    : ok(name, what);
}

/** What a GET of a task that is not there says of the URL and of the key. */
function judgeAnswer(answer: Answer, redact: (text: string) => string): Check {
  const name = 'provider-answer';
  const { status, body } = answer;
  const refusal = readRefusal(body);
  const said = oneLine(
    redact(`HTTP ${status}${refusal.message === undefined ? '' : `: ${refusal.message}`}`),
  );
  const isJson = refusal.readable;
  const report = readTask(answer, { now: 0, redact });
  if (report.kind === 'missing') {
    return ok(name, 'it knows the key, and that a made-up task is not there: URL and key are right');
  }
  if (status === 401) return failed(name, `the key is refused: ${said}`, 'Check VIDBATCH_API_KEY.');
  if (status === 402 || refusal.layers.flat().includes('insufficient_user_quota')) {
    return warning(
      name,
      `the account is empty: ${said}`,
      'Top it up; until then, the first row halts the provider.',
    );
  }
  if (status === 403)
    return failed(name, `the key has no right: ${said}`, 'Check VIDBATCH_API_KEY and its rights.');
  if (status >= 300 && status < 400) {
    const target = oneLine(redact(headerOf(answer, 'location') ?? 'elsewhere'), 200);
    return failed(
      name,
      `it redirects to ${target}, and a redirect is never followed`,
      'Set VIDBATCH_BASE_URL to where it really is.',
    );
  }
  if (status === 429) return warning(name, `it throttles: ${said}`, 'Wait a little; the key was not tried.');
  if (status >= 500)
    return failed(name, `it is in trouble: ${said}`, 'Try again later; ask whoever runs it.');
  if (!isJson) {
    return failed(
      name,
      `it answers with a page, not with the API: ${said}`,
      'Check VIDBATCH_BASE_URL: the part before /v1.',
    );
  }
  if (status === 404 || status === 405) {
    return failed(
      name,
      `the address is not known there: ${said}`,
      'Check VIDBATCH_BASE_URL: the part before /v1.',
    );
  }
  return warning(
    name,
    `it answers, but not as known: ${said}`,
    'The first row of a batch goes alone, and tells more.',
  );
}

function judgeClock(skewMs: number): Check {
  if (Math.abs(skewMs) <= MOST_SKEW_MS)
    return ok('provider-clock', 'agrees with this machine’s, to a few seconds');
  const way = skewMs > 0 ? 'behind' : 'ahead of';
  return warning(
    'provider-clock',
    `is ${duration(Math.abs(skewMs))} ${way} this machine’s`,
    'Nothing hangs on it, but one of them is wrong: check this machine’s (NTP).',
  );
}

function reason(error: Error): string {
  if (error.name === 'AbortError') return 'no answer in time';
  if (error instanceof AggregateError)
    return [...new Set((error.errors as unknown[]).map(messageOf))].join('; ');
  return error.message;
}
