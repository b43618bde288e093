import type { Prices, Pricing } from '../../core/money/prices.ts';
import { modelsOf } from './models.ts';
import type { Profile } from './schema.ts';

/** How rows get their prices: those of a price file count more than those of the profile. */
export function pricingOf(profile: Profile, file: Prices | undefined): Pricing {
  const { names, entryOf } = modelsOf(profile);
  const own = names.flatMap((name) => {
    const { price } = entryOf(name) ?? {};
    return price === undefined ? [] : [[name, price] as const];
  });
  return {
    prices: new Map([...own, ...(file ?? [])]),
    seconds: profile.fields.defaultDuration,
    replaces: file !== undefined,
  };
}
