import type { FastifyRequest } from 'fastify';
import type { Logger } from '../../core/log.ts';
import { loginFailureLog, LoginThrottle } from './login-throttle.ts';
import type { Proxies } from './proxy.ts';
import type { Refusal } from '../responses.ts';

interface LoginOptions {
  log: Logger;
  proxies: Proxies;
  throttle?: LoginThrottle | undefined;
}

/** Answers whether a login is right, as slowly as the throttle wants. */
export class Login {
  readonly #proxies: Proxies;
  readonly #throttle: LoginThrottle;
  readonly #logFailure: ReturnType<typeof loginFailureLog>;

  constructor({ log, proxies, throttle = new LoginThrottle() }: LoginOptions) {
    this.#proxies = proxies;
    this.#throttle = throttle;
    this.#logFailure = loginFailureLog(log);
  }

  /** Undefined: the login is right. */
  async judge(request: FastifyRequest, isRight: boolean): Promise<Refusal | undefined> {
    const address = this.#proxies.clientOf(request);
    if (this.#throttle.admits(address, isRight)) return undefined;
    const wait = this.#throttle.wait(address);
    if (wait === 'full') {
      return {
        status: 429,
        code: 'TOO_MANY_TRIES',
        message: 'too many wrong passwords; try again in a while',
      };
    }
    if (wait !== undefined) await wait;
    const wrong = this.#throttle.record(address, isRight);
    if (isRight) return undefined;
    this.#logFailure({ address, wrong });
    return { status: 401, code: 'WRONG_CREDENTIALS', message: 'the name or the password is wrong' };
  }
}
