import { joined, parseCaps, parseRates, type Limit } from '../../core/rate/rate-limits.ts';
import type { Profile } from '../../provider/profile/schema.ts';

/**
 * The limits that a person has set. Where these name no rate, or no cap on tasks, the limits of the profiles count; of
 * several profiles the lowest, because all their requests go to one provider.
 */
export function limitsWith(
  own: readonly Limit[],
  profiles: readonly Pick<Profile, 'name' | 'limits'>[],
): Limit[] {
  const rates = own.filter(({ intervalMs }) => intervalMs !== undefined);
  const caps = own.filter(({ inFlight }) => inFlight !== undefined);
  return joined(
    rates.length > 0 ? rates : lowest(profiles.flatMap(ratesOf)),
    caps.length > 0 ? caps : lowest(profiles.flatMap(capsOf)),
  );
}

function ratesOf({ name, limits: { rate } }: Pick<Profile, 'name' | 'limits'>): Limit[] {
  return rate === undefined ? [] : parseRates(`limits.rate of the profile ${name}`, rate);
}

function capsOf({ name, limits: { maxInFlight } }: Pick<Profile, 'name' | 'limits'>): Limit[] {
  return maxInFlight === undefined
    ? []
    : parseCaps(`limits.maxInFlight of the profile ${name}`, String(maxInFlight));
}

/** One limit for each model. */
function lowest(limits: readonly Limit[]): Limit[] {
  const found = new Map<string, Limit>();
  for (const one of limits) {
    const known = found.get(one.model);
    if (known === undefined || isLower(one, known)) found.set(one.model, one);
  }
  return [...found.values()];
}

function isLower(one: Limit, other: Limit): boolean {
  if (one.inFlight !== undefined) return one.inFlight < (other.inFlight ?? Infinity);
  // `auto` finds the limit out: a limit that is written down comes first.
  const msOf = ({ intervalMs = 0 }: Limit): number => (intervalMs === 'auto' ? 0 : intervalMs);
  return msOf(one) > msOf(other);
}
