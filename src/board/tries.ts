import { setTimeout as sleep } from 'node:timers/promises';

/** Wrong passwords of an address that cost nothing: people mistype. */
const FREE = 5;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 16_000;
/** Tries that wait at a time, of one address and of all: a waiting try holds a connection. */
const MOST_WAITING = 2;
const MOST_WAITING_OF_ALL = 50;
/** After so long without a wrong one, an address is new again. */
const FORGET_MS = 15 * 60_000;
/** Addresses that are remembered; beyond that, who was wrong longest ago is forgotten. */
const MOST_ADDRESSES = 5_000;
/** Wrong tries at the address of a guest that are judged at once, and in which time one of them is given back. */
const QUICK = 300;
const QUICK_BACK_MS = 4_000;

interface Known {
  wrong: number;
  waiting: number;
  /** Of the last wrong one. */
  at: number;
}

/** An address from which the right password has come. */
interface Guest {
  quick: number;
  at: number;
}

export interface Time {
  /** Milliseconds, monotonic. */
  now(): number;
  wait(ms: number): Promise<unknown>;
}

const realTime: Time = {
  now: () => performance.now(),
  wait: (ms) => sleep(ms, undefined, { ref: false }),
};

/**
 * Makes guessing slow, for each client address by itself. Whoever was wrong often waits before his try is even looked
 * at, with a right password too: an answer that came sooner for the right one would tell. A right one is worth one more
 * free try, not five, so that an address that is shared with its owner does not help who guesses.
 */
export class Tries {
  readonly #time: Time;
  readonly #known = new Map<string, Known>();
  readonly #guests = new Map<string, Guest>();
  #waiting = 0;

  constructor(time: Time = realTime) {
    this.#time = time;
  }

  /** Undefined: judge this try now. `full`: do not judge it, too many wait. Otherwise: judge it once this resolves. */
  turn(address: string): undefined | 'full' | Promise<void> {
    const known = this.#find(networkOf(address));
    if (known === undefined || known.wrong < FREE) return undefined;
    if (known.waiting >= MOST_WAITING || this.#waiting >= MOST_WAITING_OF_ALL) return 'full';
    return this.#wait(known);
  }

  /**
   * Whether a try is let in now, whatever waits: it is right, and so was one of this address before. Else the owner would
   * wait behind the guesses of others at his address. To answer the right one at once tells which it is, so only so many
   * wrong ones are judged in this way; a program that must never wait keeps the cookie.
   */
  isGuest(address: string, right: boolean): boolean {
    const guest = this.#guests.get(networkOf(address));
    if (guest === undefined) return false;
    const now = this.#time.now();
    guest.quick = Math.min(QUICK, guest.quick + (now - guest.at) / QUICK_BACK_MS);
    guest.at = now;
    if (guest.quick < 1) return false;
    if (!right) guest.quick -= 1;
    return right;
  }

  /** What became of a try. Returns how many wrong ones the address has had. */
  judged(address: string, right: boolean): number {
    const network = networkOf(address);
    const known = this.#find(network);
    if (right) {
      if (!this.#guests.has(network)) this.#guests.set(network, { quick: QUICK, at: this.#time.now() });
      forgetFirst(this.#guests);
      if (known !== undefined) known.wrong = Math.min(known.wrong, FREE - 1);
      return 0;
    }
    const now: Known = known ?? { wrong: 0, waiting: 0, at: 0 };
    now.wrong += 1;
    now.at = this.#time.now();
    // Last in the order of the map: first to be forgotten is who was wrong longest ago.
    this.#known.delete(network);
    this.#known.set(network, now);
    forgetFirst(this.#known);
    return now.wrong;
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#known.size;
  }

  #find(network: string): Known | undefined {
    const known = this.#known.get(network);
    if (known === undefined || this.#time.now() - known.at < FORGET_MS) return known;
    this.#known.delete(network);
    return undefined;
  }

  async #wait(known: Known): Promise<void> {
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
 * What counts as one address: this machine has millions of its own, and whoever has one of IPv6 has the other 2^64 of
 * its network.
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
