import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../core/log.ts';

/** Wrong passwords of an address without a wait, because people mistype. */
const FREE = 5;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 16_000;
/** Logins that may wait at a time, of one address and of all. Each holds a connection. */
const MOST_WAITING = 2;
const MOST_WAITING_OF_ALL = 50;
/** An address without a wrong password for this long is new again. */
const FORGET_MS = 15 * 60_000;
/** Addresses that are remembered. Beyond that, the address whose last wrong password is oldest is forgotten. */
const MOST_ADDRESSES = 5_000;
/** Wrong passwords from a known address that are judged without a wait, and the time that gives one of them back. */
const QUICK = 300;
const QUICK_BACK_MS = 4_000;

interface Failures {
  wrong: number;
  waiting: number;
  /** The time of the last wrong password. */
  at: number;
}

/** An address that has sent the right password. */
interface KnownAddress {
  quick: number;
  at: number;
}

interface Time {
  /** Milliseconds, monotonic. */
  now(): number;
  wait(ms: number): Promise<unknown>;
}

const realTime: Time = {
  now: () => performance.now(),
  wait: (ms) => sleep(ms, undefined, { ref: false }),
};

/**
 * Makes guessing passwords slow, for each client address separately. After several wrong passwords an address waits before
 * its next login is judged. A right password waits as long, because a faster answer would reveal it. It gives the address
 * one more login without a wait, not five, so that an attacker gains little from an address shared with the user.
 */
export class LoginThrottle {
  readonly #time: Time;
  readonly #failures = new Map<string, Failures>();
  readonly #knownAddresses = new Map<string, KnownAddress>();
  #waiting = 0;

  constructor(time: Time = realTime) {
    this.#time = time;
  }

  /** Undefined: judge this login now. `full`: refuse it, too many wait. Otherwise: judge it when this resolves. */
  wait(address: string): undefined | 'full' | Promise<void> {
    const known = this.#find(networkOf(address));
    if (known === undefined || known.wrong < FREE) return undefined;
    if (known.waiting >= MOST_WAITING || this.#waiting >= MOST_WAITING_OF_ALL) return 'full';
    return this.#sleep(known);
  }

  /**
   * Whether a right password is admitted without a wait, because its address has sent the right password before. Otherwise
   * the user would wait behind guesses from the same address. An immediate answer reveals the right password, so only a
   * limited number of wrong ones is judged this way. A program that must never wait keeps the cookie.
   */
  admits(address: string, isRight: boolean): boolean {
    const known = this.#knownAddresses.get(networkOf(address));
    if (known === undefined) return false;
    const now = this.#time.now();
    known.quick = Math.min(QUICK, known.quick + (now - known.at) / QUICK_BACK_MS);
    known.at = now;
    if (known.quick < 1) return false;
    if (!isRight) known.quick -= 1;
    return isRight;
  }

  /** Records how a login was judged. Returns the number of wrong passwords of its address. */
  record(address: string, isRight: boolean): number {
    const network = networkOf(address);
    const known = this.#find(network);
    if (isRight) {
      if (!this.#knownAddresses.has(network))
        this.#knownAddresses.set(network, { quick: QUICK, at: this.#time.now() });
      forgetFirst(this.#knownAddresses);
      if (known !== undefined) known.wrong = Math.min(known.wrong, FREE - 1);
      return 0;
    }
    const failures: Failures = known ?? { wrong: 0, waiting: 0, at: 0 };
    failures.wrong += 1;
    failures.at = this.#time.now();
    // The map keeps the order of the last failures, so the oldest is forgotten first.
    this.#failures.delete(network);
    this.#failures.set(network, failures);
    forgetFirst(this.#failures);
    return failures.wrong;
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#failures.size;
  }

  #find(network: string): Failures | undefined {
    const known = this.#failures.get(network);
    if (known === undefined || this.#time.now() - known.at < FORGET_MS) return known;
    this.#failures.delete(network);
    return undefined;
  }

  async #sleep(known: Failures): Promise<void> {
    known.waiting += 1;
    this.#waiting += 1;
    try {
      await this.#time.wait(Math.min(FIRST_WAIT_MS * 2 ** (known.wrong - FREE), LONGEST_WAIT_MS));
    } finally {
      known.waiting -= 1;
      this.#waiting -= 1;
    }
  }
}

function forgetFirst(addresses: Map<string, unknown>): void {
  if (addresses.size > MOST_ADDRESSES) addresses.delete(addresses.keys().next().value ?? '');
}

/**
 * The part of an address that counts. All loopback addresses are one, and so are the 2^64 IPv6 addresses of a network,
 * because one client can use all of them.
 */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  if (plain.startsWith('127.') || plain === '::1') return 'loopback';
  if (!plain.includes(':')) return plain;
  const [before = '', after] = plain.toLowerCase().split('::');
  const head = before.split(':');
  const tail = after?.split(':') ?? [];
  const gap = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0');
  return [...head, ...gap, ...tail].slice(0, 4).join(':');
}

/** Log lines a minute, so that an attacker cannot fill the disk. */
const LINES = 10;
const MINUTE_MS = 60_000;

interface WrongLogin {
  /** An IP address. */
  address: string;
  /** Wrong passwords of this address so far. */
  wrong: number;
}

/** Logs wrong logins: the first ones of each minute one by one, and of the others only their number. */
export function loginFailureLog(
  log: Logger,
  now: () => number = () => performance.now(),
): (login: WrongLogin) => void {
  let since = -Infinity;
  let logged = 0;
  let suppressed = 0;
  return ({ address, wrong }) => {
    if (now() - since >= MINUTE_MS) [since, logged] = [now(), 0];
    logged += 1;
    if (logged > LINES) {
      suppressed += 1;
      return;
    }
    log.warn(
      { event: 'board-stranger', address, wrong, ...(suppressed > 0 ? { suppressed } : {}) },
      'a wrong name or password',
    );
    suppressed = 0;
  };
}
