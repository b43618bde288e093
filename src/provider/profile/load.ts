import { readFileSync } from 'node:fs';
import { usageError, messageOf } from '../../core/errors.ts';
import { nearest } from '../../core/suggestion.ts';
import { builtInNames, builtInText } from './built-in.ts';
import { requireProfile } from './read.ts';
import type { Profile } from './schema.ts';

/** The profile of a batch that names none: the endpoint of the contract page. */
export const DEFAULT_PROFILE = 'vidu-gateway';

/** A profile, and the text that it was read from. */
export interface LoadedProfile {
  profile: Profile;
  text: string;
  /** It is part of vidbatch, so its name is enough to find it again. */
  builtIn: boolean;
}

const builtIns = new Map<string, LoadedProfile>();

/** The built-in profile of this name; undefined if the name is unknown. */
export function builtInProfile(name: string): LoadedProfile | undefined {
  const known = builtIns.get(name);
  if (known !== undefined) return known;
  const text = builtInText(name);
  if (text === undefined) return undefined;
  const loaded = { profile: requireProfile(text, `${name}.yaml`), text, builtIn: true };
  builtIns.set(name, loaded);
  return loaded;
}

/** The profile where none is named. */
export function defaultProfile(): Profile {
  const loaded = builtInProfile(DEFAULT_PROFILE);
  if (loaded === undefined) throw new Error(`the built-in profile ${DEFAULT_PROFILE} is missing`);
  return loaded.profile;
}

/**
 * The profile of `--profile`: the name of a built-in one, or a file.
 * @throws VidbatchError exit 2 for a name that is unknown, a file that cannot be read, or one with faults.
 */
export function loadProfile(nameOrFile: string): LoadedProfile {
  const builtIn = builtInProfile(nameOrFile);
  if (builtIn !== undefined) return builtIn;
  if (!/[./\\]/.test(nameOrFile)) throw unknownProfile(nameOrFile);
  const text = profileText(nameOrFile);
  const profile = requireProfile(text, nameOrFile);
  if (builtInNames().includes(profile.name)) {
    throw usageError(
      'PROFILE_NAME_TAKEN',
      `${nameOrFile}: the name ${profile.name} is that of a built-in profile`,
      'Give it a name of its own.',
    );
  }
  return { profile, text, builtIn: false };
}

/** The profile of the configuration, or else the default. @throws VidbatchError exit 2 as `loadProfile`. */
export function configuredProfile({ profile = DEFAULT_PROFILE }: { profile?: string | undefined }): Profile {
  return loadProfile(profile).profile;
}

/** @throws VidbatchError exit 2 for a file that cannot be read. */
export function profileText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw usageError('PROFILE_UNREADABLE', `the profile ${file} cannot be read: ${messageOf(error)}`);
  }
}

function unknownProfile(name: string): Error {
  const names = builtInNames();
  const meant = nearest(name, names, 2);
  return usageError(
    'NO_SUCH_PROFILE',
    `--profile ${name}: there is no profile of this name${meant === undefined ? '' : `; did you mean ${meant}?`}`,
    `The built-in ones are ${names.join(', ')}. A file needs its extension, such as ${name}.yaml.`,
  );
}
