import type { FastifyInstance } from 'fastify';
import { within } from '../core/within.ts';
import { QUEUES_PATH } from './url.ts';

/** What each page says about the whole ledger, beside its own content. */
export interface Standing {
  /** How many things need a person; undefined: not known in time. */
  attention: number | undefined;
  away: Away | undefined;
}

/** Why the queue does not answer, and since when the board knows it. */
export interface Away {
  reason: string;
  since: Date;
}

declare module 'fastify' {
  interface FastifyRequest {
    standing: Standing | undefined;
  }
}

/** What is not known after this time is left out of the page, which must not wait for it. */
const WAIT_MS = 150;

/** The paths below which there is no page of the board. */
const NO_PAGE = new Set([
  'api',
  QUEUES_PATH.slice(1),
  'events',
  'live.js',
  'style.css',
  'healthz',
  'sign-in',
  'sign-out',
]);

function isPage(url: string): boolean {
  const [, first = ''] = /^\/([^/?]*)/.exec(url) ?? [];
  return !NO_PAGE.has(first) && !/\/video(\?|$)/.test(url);
}

/** Reads the standing for each request of a page. No failure of it reaches the page. */
export function mountStanding(
  server: FastifyInstance,
  { attention, away }: { attention: () => Promise<number>; away: () => Promise<Away | undefined> },
): void {
  let lastAway: Away | undefined;
  server.decorateRequest('standing', undefined);
  server.addHook('preHandler', async (request) => {
    if (!isPage(request.url)) return;
    const [known] = await Promise.all([
      within<number | undefined>(
        WAIT_MS,
        attention().catch(() => undefined),
        () => undefined,
      ),
      // A server that hangs takes longer to be found away: until then, the last answer counts.
      within(
        WAIT_MS,
        away().then((found) => void (lastAway = found)),
        () => undefined,
      ),
    ]);
    request.standing = { attention: known, away: lastAway };
  });
}
