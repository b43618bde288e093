import type { ModelNames } from '../../core/rate/rate-limits.ts';
import { expandBraces, fits } from './brace.ts';
import { configuredProfile, defaultProfile } from './load.ts';
import type { ModelEntry } from './row-schema.ts';
import type { Profile } from './schema.ts';

/** The models of a profile. */
export interface Models {
  /** The names that it spells out, in its order. */
  names: readonly string[];
  /** The entries as they are written, for a person. */
  written: readonly string[];
  /** The entry that names a model: the first that fits. */
  entryOf: (name: string) => ModelEntry | undefined;
  /** What a name alone lets expect. */
  hintOf: (name: string) => ModelEntry | undefined;
}

const compiled = new WeakMap<Profile, Models>();

export function modelsOf(profile: Profile = defaultProfile()): Models {
  const known = compiled.get(profile);
  if (known !== undefined) return known;
  const models = compile(profile);
  compiled.set(profile, models);
  return models;
}

/** Whether a name fits a pattern with braces and `*`. Compiled once, for many names. */
export function matcher(patterns: readonly string[]): (name: string) => boolean {
  const all = patterns.flatMap((one) => expandBraces(one) ?? []);
  const names = new Set(all.filter((one) => !one.includes('*')));
  const open = all.filter((one) => one.includes('*'));
  return (name) => names.has(name) || open.some((one) => fits(name, one));
}

function compile({ models }: Profile): Models {
  const entries = models.map((entry) => ({ entry, matches: matcher(entry.match) }));
  const first = (isHint: boolean) => (name: string) =>
    entries.find(({ entry, matches }) => entry.hint === isHint && matches(name))?.entry;
  const named = models.filter(({ hint }) => !hint).flatMap(({ match }) => match);
  const names = named.flatMap((one) => expandBraces(one) ?? []).filter((one) => !one.includes('*'));
  return { names: [...new Set(names)], written: named, entryOf: first(false), hintOf: first(true) };
}

/** The names that a limit may be for: those of the profile, and those that the configuration adds. */
export function configuredModels(config: {
  models: readonly string[];
  profile?: string | undefined;
}): ModelNames {
  const more = config.models;
  const { names, entryOf } = modelsOf(configuredProfile(config));
  return {
    names: [...names, ...more],
    knows: (name) => more.includes(name) || entryOf(name) !== undefined,
  };
}
