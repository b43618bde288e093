import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Pool } from 'undici';
import type { Config } from '../../core/config.ts';
import { messageOf } from '../../core/errors.ts';
import { oneLine } from '../../core/text.ts';
import { DAY_MS } from '../../core/time/zone.ts';
import { formatDuration } from '../../core/units.ts';
import { parseValue } from '../../provider/answer-body.ts';
import { headerOf, type Answer } from '../../provider/answer.ts';
import { redactor } from '../../provider/api-key.ts';
import { exchange, type Exchange } from '../../provider/exchange.ts';
import { dialectOf } from '../../provider/dialect.ts';
import { formatFailure } from '../../provider/failure.ts';
import { kindByCode } from '../../provider/judgement.ts';
import { defaultProfile } from '../../provider/profile/load.ts';
import type { Profile } from '../../provider/profile/schema.ts';
import { Requests } from '../../provider/request.ts';
import { readTask } from '../../provider/task-answer.ts';
import { checkSubject, skipped, withLimit, failed, ok, warning, type Check } from './check.ts';

/** Which steps of a request that costs nothing succeeded. The steps after the first failure are undefined. */
export interface ProviderFacts {
  baseUrl: string;
  addresses: string[] | Error;
  connectMs?: number | Error;
  /** Undefined for plain http. */
  certificate?: Certificate | Error;
  /** The answer to a GET of a made-up task, with the key. */
  answer?: Exchange;
  /** How far this machine's clock is ahead of the provider's, to within a second and the time of the answer. */
  skewMs?: number;
  now: number;
}

export interface Certificate {
  /** Why it is not trusted; null: it is. */
  fault: string | null;
  /** Milliseconds since the epoch. */
  validTo: number;
}

/** No provider issues such an id. */
const MADE_UP_TASK = 'task_vidbatch_doctor';

async function readProviderFacts(
  baseUrl: string,
  apiKey: string | undefined,
  { limitMs, signal, profile }: { limitMs: number; signal: AbortSignal; profile: Profile },
): Promise<ProviderFacts> {
  const url = new URL(baseUrl);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  const now = Date.now();
  const addresses = await settled(withLimit(limitMs, () => lookup(host, { all: true })));
  if (addresses instanceof Error) return { baseUrl, now, addresses };
  const reached: ProviderFacts = { baseUrl, now, addresses: addresses.map(({ address }) => address) };
  reached.connectMs = await settled(timeToConnect(host, port, limitMs, signal));
  if (reached.connectMs instanceof Error) return reached;
  if (url.protocol === 'https:') {
    reached.certificate = await settled(readCertificate(host, port, limitMs, signal));
    if (reached.certificate instanceof Error || reached.certificate.fault !== null) return reached;
  }
  return { ...reached, ...(await askForTask({ baseUrl: url.href, apiKey }, profile, limitMs)) };
}

function settled<T>(work: Promise<T>): Promise<T | Error> {
  return work.catch((error: unknown) => error as Error);
}

async function timeToConnect(
  host: string,
  port: number,
  limitMs: number,
  signal: AbortSignal,
): Promise<number> {
  const began = performance.now();
  const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect', { signal: limit });
    return performance.now() - began;
  } finally {
    socket.on('error', () => undefined).destroy();
  }
}

/** Also reads a certificate that is not trusted: the check reports why, and when it ends. */
async function readCertificate(
  host: string,
  port: number,
  limitMs: number,
  signal: AbortSignal,
): Promise<Certificate> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
  const name = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
  const socket = connectTls({ host, port, ...name, rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect', { signal: limit });
    const { authorizationError: fault } = socket;
    return {
      fault: socket.authorized ? null : String((fault as Error | string | null) ?? 'not trusted'),
      validTo: Date.parse(socket.getPeerCertificate().valid_to),
    };
  } finally {
    socket.on('error', () => undefined).destroy();
  }
}

/** One GET without a connection that lasts. `pathOf`: the path that is asked. */
export async function getOnce(
  { baseUrl, apiKey }: { baseUrl: string; apiKey: string | undefined },
  profile: Profile,
  limitMs: number,
  pathOf: (requests: Requests) => string,
): Promise<Exchange> {
  const headers = { accept: 'application/json', 'accept-encoding': 'identity' };
  const requests = new Requests(profile, { baseUrl, apiKey, headers });
  const { origin } = new URL(baseUrl);
  const pool = new Pool(origin, { allowH2: false, connections: 1, connect: { timeout: limitMs } });
  try {
    const request = { method: 'GET', path: pathOf(requests), headers: { ...requests.query } } as const;
    return await exchange(pool, request, limitMs);
  } finally {
    await pool.destroy();
  }
}

async function askForTask(
  target: { baseUrl: string; apiKey: string | undefined },
  profile: Profile,
  limitMs: number,
): Promise<Pick<ProviderFacts, 'answer' | 'skewMs'>> {
  const began = Date.now();
  const answer = await getOnce(target, profile, limitMs, (requests) => requests.queryPath(MADE_UP_TASK));
  const date = answer.kind === 'answer' ? Date.parse(String(answer.answer.headers['date'])) : Number.NaN;
  // The date is in whole seconds, and was written between the request and the answer.
  const skewMs = (began + Date.now()) / 2 - (date + 500);
  return { answer, ...(Number.isNaN(skewMs) ? {} : { skewMs }) };
}

const SOON_DAYS = 14;
/** A difference above this is not explained by the time of the answer and the whole seconds of its date. */
const MOST_SKEW_MS = 5_000;
const CHECK_URL = 'Check VIDBATCH_BASE_URL, the network and the firewall.';

/** `redact` takes the API key out of what the provider says. */
export function judgeProvider(
  facts: ProviderFacts,
  redact: (text: string) => string,
  profile = defaultProfile(),
): Check[] {
  const checks = [judgeDns(facts)];
  if (facts.connectMs !== undefined) checks.push(judgeConnection(facts.connectMs, facts));
  if (facts.certificate !== undefined) checks.push(judgeCertificate(facts.certificate, facts.now));
  if (facts.answer?.kind === 'failure') {
    const what = formatFailure(facts.answer, new URL(facts.baseUrl).host);
    checks.push(failed('provider-answer', oneLine(redact(what)), CHECK_URL));
  }
  if (facts.answer?.kind === 'answer') checks.push(judgeAnswer(facts.answer.answer, redact, profile));
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
    return failed(name, `no TLS connection: ${reason(certificate)}`, 'Check that this port serves https.');
  }
  const { fault, validTo } = certificate;
  if (fault !== null) {
    return failed(
      name,
      `is not trusted: ${fault}`,
      'If your own authority issued it, name the authority’s certificate with NODE_EXTRA_CA_CERTS.',
    );
  }
  const days = Math.floor((validTo - now) / DAY_MS);
  const what = `is trusted, until ${new Date(validTo).toISOString().slice(0, 10)} (${days} days)`;
  return days < SOON_DAYS
    ? warning(name, what, 'The operator of the provider must renew it.')
    : ok(name, what);
}

/** What the answer to a made-up task says about the URL and the key. */
function judgeAnswer(answer: Answer, redact: (text: string) => string, profile: Profile): Check {
  const name = 'provider-answer';
  const { status, body } = answer;
  const dialect = dialectOf(profile);
  const refusal = dialect.refusals.read(parseValue(body), body);
  const said = oneLine(
    redact(`HTTP ${status}${refusal.message === undefined ? '' : `: ${refusal.message}`}`),
  );
  const isJson = refusal.readable;
  const report = readTask(answer, dialect, { now: 0, redact });
  if (report.kind === 'missing') {
    return ok(name, 'it accepts the key and does not know a made-up task: URL and key are right');
  }
  if (status === 401) return failed(name, `the key is refused: ${said}`, 'Check VIDBATCH_API_KEY.');
  if (status === 402 || kindByCode(refusal, status, dialect)?.kind === 'halted') {
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
      'Set VIDBATCH_BASE_URL to the real address.',
    );
  }
  if (status === 429)
    return warning(name, `it throttles: ${said}`, 'Wait a little; the key was not checked.');
  if (status >= 500)
    return failed(name, `it has a server error: ${said}`, 'Try again later, or ask its operator.');
  const where = `Check VIDBATCH_BASE_URL: the part before ${profile.task.path}.`;
  if (!isJson) return failed(name, `it answers with a web page, not with the API: ${said}`, where);
  const code = refusal.layers.at(-1)?.[0];
  const orMissing =
    code === undefined
      ? ''
      : ` If ${oneLine(redact(code), 80)} means that there is no such task, add it to task.missing of the profile.`;
  const first = `The first row of a batch is sent alone, and shows more.${orMissing}`;
  if (status === 404 && profile.task.missing.length === 0) {
    const what = 'it is not known how it names an unknown task, and this may be an unknown address';
    return warning(name, `${what}: ${said}`, first);
  }
  if (status === 404 || status === 405)
    return failed(name, `the address is not known there: ${said}`, `${where}${orMissing}`);
  return warning(name, `it answers in an unknown way: ${said}`, first);
}

function judgeClock(skewMs: number): Check {
  if (Math.abs(skewMs) <= MOST_SKEW_MS)
    return ok('provider-clock', 'agrees with this machine’s, to a few seconds');
  const way = skewMs > 0 ? 'behind' : 'ahead of';
  return warning(
    'provider-clock',
    `is ${formatDuration(Math.abs(skewMs))} ${way} this machine’s`,
    'Nothing depends on it, but one of them is wrong: check this machine’s clock (NTP).',
  );
}

function reason(error: Error): string {
  if (error.name === 'AbortError') return 'no answer in time';
  if (error instanceof AggregateError)
    return [...new Set((error.errors as unknown[]).map(messageOf))].join('; ');
  return error.message;
}

export async function checkProvider(
  { baseUrl, apiKey }: Pick<Config, 'baseUrl' | 'apiKey'>,
  limitMs: number,
  profile = defaultProfile(),
): Promise<Check[]> {
  if (baseUrl === undefined || (apiKey === undefined && profile.auth !== undefined)) {
    return [skipped('provider', 'was not asked: the URL or the key is missing')];
  }
  return checkSubject('provider', 4 * limitMs, async (signal) => {
    const facts = await readProviderFacts(baseUrl, apiKey, { limitMs, signal, profile });
    return judgeProvider(facts, redactor(apiKey), profile);
  });
}
