import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Pool } from 'undici';
import { exchange } from '../../provider/exchange.ts';
import type { Exchange } from '../../provider/exchange.ts';
import { within } from './check.ts';

/** How far a question that costs nothing came. What comes after the first failure is undefined. */
export interface ProviderFacts {
  baseUrl: string;
  addresses: string[] | Error;
  connectMs?: number | Error;
  /** Undefined for plain http. */
  certificate?: Certificate | Error;
  /** GET of a task that is not there, with the key. */
  answer?: Exchange;
  /** By how much this machine's clock is ahead of the provider's, to within a second and the time of the answer. */
  skewMs?: number;
  now: number;
}

export interface Certificate {
  /** Why it is not trusted; null: it is. */
  fault: string | null;
  /** Milliseconds since the epoch. */
  validTo: number;
}

/** No provider gives such an id. */
const MADE_UP_TASK = 'task_vidbatch_doctor';

export async function gatherProvider(
  baseUrl: string,
  apiKey: string,
  { limitMs, signal }: { limitMs: number; signal: AbortSignal },
): Promise<ProviderFacts> {
  const url = new URL(baseUrl);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  const now = Date.now();
  const addresses = await settled(within(limitMs, () => lookup(host, { all: true })));
  if (addresses instanceof Error) return { baseUrl, now, addresses };
  const reached: ProviderFacts = { baseUrl, now, addresses: addresses.map(({ address }) => address) };
  reached.connectMs = await settled(timeToConnect(host, port, limitMs, signal));
  if (reached.connectMs instanceof Error) return reached;
  if (url.protocol === 'https:') {
    reached.certificate = await settled(readCertificate(host, port, limitMs, signal));
    if (reached.certificate instanceof Error || reached.certificate.fault !== null) return reached;
  }
  return { ...reached, ...(await ask(url, apiKey, limitMs)) };
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

/** Not trusted is a fact, and no failure: its reason and its end are to be told. */
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

async function ask(
  { origin, pathname }: URL,
  apiKey: string,
  limitMs: number,
): Promise<Pick<ProviderFacts, 'answer' | 'skewMs'>> {
  const pool = new Pool(origin, { allowH2: false, connections: 1, connect: { timeout: limitMs } });
  try {
    const began = Date.now();
    const answer = await exchange(
      pool,
      {
        method: 'GET',
        path: `${pathname.replace(/\/$/, '')}/v1/video/generations/${MADE_UP_TASK}`,
        headers: {
          authorization: `Bearer ${apiKey}`,
          accept: 'application/json',
          'accept-encoding': 'identity',
        },
      },
      limitMs,
    );
    const date = answer.kind === 'answer' ? Date.parse(String(answer.answer.headers['date'])) : Number.NaN;
    // It was cut to a second, and written somewhere between the question and the answer.
    const skewMs = (began + Date.now()) / 2 - (date + 500);
    return { answer, ...(Number.isNaN(skewMs) ? {} : { skewMs }) };
  } finally {
    await pool.destroy();
  }
}
