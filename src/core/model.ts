/**
 * The names of models. Grammar: api.md, "The request", from the examples of the contract page: a family,
 * optional `mix` (reference images), a resolution, optional `offpeak` (half price, within 48 hours).
 */
const families = ['viduq3p', 'viduq3t'];
const resolutions = ['540p', '720p', '1080p'];

/** For example `viduq3t-mix-1080p-offpeak`. */
export const knownModels: readonly string[] = families.flatMap((family) =>
  ['', '-mix'].flatMap((mix) =>
    resolutions.flatMap((resolution) =>
      ['', '-offpeak'].map((offPeak) => `${family}${mix}-${resolution}${offPeak}`),
    ),
  ),
);

const known = new Set(knownModels);

export function isKnownModel(model: string): boolean {
  return known.has(model);
}

/** Off-peak models have their own price, and wait for a window. */
export function isOffPeak(model: string): boolean {
  return model.endsWith('-offpeak');
}

/** Mix models take reference images. */
export function isMix(model: string): boolean {
  return model.split('-').includes('mix');
}
