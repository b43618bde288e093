/**
 * The room `provider` speaks HTTP with the provider and judges its answers.
 * It may import ledger, database and core.
 */
import { VERSION } from '../core/version.ts';
import { usageError } from '../core/errors.ts';
import { checkApiKey, redactor } from './api-key.ts';
import { Calls, refused } from './calls.ts';
import { dialectOf } from './dialect.ts';
import { formatFailure, judgeFailure } from './failure.ts';
import { judge } from './judgement.ts';
import type { Outcome, TaskReport } from '../core/outcome.ts';
import { defaultProfile } from './profile/load.ts';
import type { Profile } from './profile/schema.ts';
import { checkCodes } from './outcome-table.ts';
import { Requests } from './request.ts';
import { readTask } from './task-answer.ts';
import { oneLine } from '../core/text.ts';

/** The provider as `submit`, the poller and the downloader use it. */
export interface Provider {
  /** The base URL without `/v1`. Task ids are only valid at their origin. */
  readonly origin: string;
  /** What it says and understands. */
  readonly profile: Profile;
  /** The same provider by another profile, over the same connections; closing one closes both. */
  speaking(profile: Profile): Provider;
  /**
   * One POST of the request `body` (its exact JSON text), without retry or redirect. Never throws. `mayLeave` is called
   * directly before the write to the socket, because the process may have been suspended while it connected.
   */
  create(body: string, options: { idempotencyKey: string; mayLeave?: () => boolean }): Promise<Outcome>;
  /** Asks for one task, at the `queryUrl` of its create answer if there is one. Never throws. `signal` gives up the answer. */
  query(taskId: string, options?: { signal?: AbortSignal; queryUrl?: string }): Promise<TaskReport>;
  /**
   * Headers for a GET of this URL: the key, if the URL is a task's video at the provider's own origin; or else none. Ask
   * again for the address of a redirect.
   */
  headersFor(url: string): Readonly<Record<string, string>>;
  close(): Promise<void>;
}

export interface ProviderOptions {
  /** As `normaliseBaseUrl` returns it. */
  baseUrl: string;
  /** Undefined: the profile needs none, or nothing is asked of the provider. */
  apiKey?: string | undefined;
  /** What the provider says and understands, unless `speaking` names another; the built-in default. */
  profile?: Profile;
  /** From the call to the last byte of the answer; 120 s. */
  timeoutMs?: number;
  /** The most sockets at a time. If there are fewer than open calls, calls wait for a socket. Default: no limit. */
  connections?: number;
  /** Codes with another meaning: code → outcome kind, as `checkCodes` allows. */
  codes?: Readonly<Record<string, string>>;
  /** Variables that ask for a proxy. vidbatch uses none, and says so when the provider cannot be reached. */
  proxies?: readonly string[];
  /** PEM certificates to trust besides the usual ones. */
  ca?: string;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * The provider over HTTP/1.1.
 * @throws usageError for a key that cannot travel in a header, a code that cannot be moved, or a timeout out of range.
 */
export function createProvider(options: ProviderOptions): Provider {
  const { baseUrl, apiKey, timeoutMs = 120_000, now = Date.now, proxies = [] } = options;
  if (apiKey !== undefined) checkApiKey(apiKey);
  const codes = checkCodes(options.codes ?? {});
  if (!(timeoutMs >= 1 && timeoutMs <= LONGEST_TIMEOUT_MS)) {
    throw usageError('timeout', `the timeout of ${timeoutMs} ms is not between 1 and ${LONGEST_TIMEOUT_MS}`);
  }
  const redact = redactor(apiKey);
  const { origin, host } = new URL(baseUrl);
  const headers = {
    accept: 'application/json',
    // Without it, a server may use any encoding (RFC 9110, 12.5.3), and the task id must be readable.
    'accept-encoding': 'identity',
    'user-agent': `vidbatch/${VERSION}`,
  };
  const calls = new Calls(origin, { ...options, timeoutMs });

  const speakers = new WeakMap<Profile, Provider>();
  function speaking(profile: Profile): Provider {
    const known = speakers.get(profile);
    if (known !== undefined) return known;
    const speaker = speakerOf(profile);
    speakers.set(profile, speaker);
    return speaker;
  }

  function speakerOf(profile: Profile): Provider {
    const dialect = dialectOf(profile, codes);
    const requests = new Requests(profile, { baseUrl, apiKey, headers });
    const keyless = profile.auth !== undefined && apiKey === undefined;
    const queryUrlOf = (url: string): string | undefined => {
      const path = requests.queryUrlOf(url);
      // A URL that holds the key is not stored.
      return path === undefined || redact(path) !== path ? undefined : path;
    };
    return {
      origin: baseUrl,
      profile,
      speaking,

      async create(body, { idempotencyKey, mayLeave }) {
        if (keyless) return { kind: 'halted', evidence: { ...NO_KEY, phase: 'connecting' } };
        const request = requests.create(body, idempotencyKey);
        const result =
          request === undefined
            ? refused('INVALID_BODY', 'the request is not a JSON object')
            : await calls.make({ method: 'POST', ...request, mayLeave });
        if (result.kind === 'failure') return judgeFailure(result, { host, redact, proxies });
        return judge(result.answer, dialect, { now: now(), redact, queryUrlOf });
      },

      async query(taskId, { signal, queryUrl } = {}) {
        if (keyless) return { kind: 'transient', trouble: 'refused', message: NO_KEY.message };
        const path = requests.queryPath(taskId, queryUrl);
        const result = await calls.make({ method: 'GET', path, headers: { ...requests.query }, signal });
        if (result.kind === 'answer') {
          const contentUrl = requests.contentUrl(taskId);
          return readTask(result.answer, dialect, { now: now(), redact, origin, contentUrl });
        }
        return {
          kind: 'transient',
          trouble: 'broken',
          message: oneLine(redact(formatFailure(result, host, proxies))),
        };
      },

      headersFor: (url) => (requests.isContent(url) ? { ...requests.key } : {}),
      close: () => calls.close(),
    };
  }

  return speaking(options.profile ?? defaultProfile());
}

const NO_KEY = {
  code: 'NO_API_KEY',
  message: 'the API key is not known: VIDBATCH_API_KEY is not set, and the profile needs one',
};
