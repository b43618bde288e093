import type { FastifyReply, FastifyRequest } from 'fastify';
import { cookieOf, cookiesOf, hashOf, makeSecret } from './credentials.ts';
import { LIVE_HEADER } from '../live-reads.ts';
import type { Proxies } from './proxy.ts';

/** A session that is not used for this time ends. */
const IDLE_MS = 12 * 3_600_000;
/** Beyond that, the session that was used least recently ends. */
const MOST = 1_000;

interface SessionOptions {
  proxies: Proxies;
  /** The path under which browsers see the board, without a slash at its end. */
  publicPath: string;
  /** Milliseconds, monotonic. */
  now?: () => number;
}

/** Browsers that have signed in, by the hash of their cookie: finding a hash takes as long for a wrong cookie. */
export class Sessions {
  readonly #proxies: Proxies;
  readonly #publicPath: string;
  readonly #now: () => number;
  /** When each was last used. The map keeps the order of use. */
  readonly #usedAt = new Map<string, number>();
  /** The one session of all logins by HTTP Basic: a program without cookies logs in with each request. */
  #basic: string | undefined;

  constructor({ proxies, publicPath, now = () => performance.now() }: SessionOptions) {
    this.#proxies = proxies;
    this.#publicPath = publicPath;
    this.#now = now;
  }

  /** Gives the browser a cookie with a secret of its own. */
  start(request: FastifyRequest, reply: FastifyReply): void {
    this.#give(request, reply, makeSecret());
  }

  startBasic(request: FastifyRequest, reply: FastifyReply): void {
    if (this.#basic === undefined || !this.#usedAt.has(hashOf(this.#basic))) this.#basic = makeSecret();
    this.#give(request, reply, this.#basic);
  }

  /** Whether a request belongs to a session. A request that an open page makes by itself does not extend the session. */
  has({ headers, socket, url }: FastifyRequest): boolean {
    const isAlone = headers[LIVE_HEADER] !== undefined || url === '/events';
    return cookiesOf(headers, socket.localPort).some((secret) => {
      const hash = hashOf(secret);
      const usedAt = this.#usedAt.get(hash);
      if (usedAt === undefined || this.#now() - usedAt > IDLE_MS) {
        this.#usedAt.delete(hash);
        return false;
      }
      if (!isAlone) this.#use(hash);
      return true;
    });
  }

  end(request: FastifyRequest, reply: FastifyReply): void {
    for (const secret of cookiesOf(request.headers, request.socket.localPort))
      this.#usedAt.delete(hashOf(secret));
    this.#setCookie(request, reply, '');
  }

  #give(request: FastifyRequest, reply: FastifyReply, secret: string): void {
    this.#use(hashOf(secret));
    for (const oldest of this.#usedAt.keys()) {
      if (this.#usedAt.size <= MOST) break;
      this.#usedAt.delete(oldest);
    }
    this.#setCookie(request, reply, secret);
  }

  #use(hash: string): void {
    this.#usedAt.delete(hash);
    this.#usedAt.set(hash, this.#now());
  }

  #setCookie(request: FastifyRequest, reply: FastifyReply, secret: string): void {
    const secure = this.#proxies.isSecure(request);
    reply.header(
      'set-cookie',
      cookieOf(secret, request.socket.localPort, { secure, path: `${this.#publicPath}/` }),
    );
  }
}
