import { usageError } from '../core/errors.ts';

/**
 * A number in [0, 1) that depends only on its arguments, so every run is the same. Purposes are independent: adding
 * latency to a run does not change which requests fail.
 */
export function draw(seed: number, purpose: string, n: number): number {
  const text = `${seed}:${purpose}:${n}`;
  // FNV-1a over the text; its low bits are weak for short, similar texts, so murmur3's finaliser follows.
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** The entry that a number in [0, 1) falls on; none beyond the sum of the rates. */
export function pickByRate<T extends { rate: number }>(rated: readonly T[], drawn: number): T | undefined {
  let edge = 0;
  return rated.find(({ rate }) => {
    edge += rate;
    return drawn < edge;
  });
}

/** Reads `name=rate`, for example `timeout=0.01`; without a rate: always. `what`: for the error. */
export function parseRated(what: 'fault' | 'mistake', spec: string): { name: string; rate: number } {
  const [name = '', rate = '1', ...rest] = spec.split('=');
  const share = Number(rate);
  if (rest.length > 0 || rate.trim() === '' || !(share >= 0 && share <= 1)) {
    throw usageError(`${what}-rate`, `${what} ${quote(spec)}: the rate is not a number between 0 and 1`);
  }
  return { name, rate: share };
}

export const quote = (text: string): string => JSON.stringify(text.slice(0, 80));
