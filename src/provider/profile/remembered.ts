import { createHash } from 'node:crypto';
import { usageError, VidbatchError } from '../../core/errors.ts';
import { sameKeyOf, type SameKey } from '../../core/retry-policy.ts';
import type { Queryable } from '../../database/database.ts';
import { findProfile, listProfiles, type KeptProfile } from '../../ledger/profiles.ts';
import { builtInNames } from './built-in.ts';
import { builtInProfile, type LoadedProfile } from './load.ts';
import { readProfile } from './read.ts';
import type { Profile } from './schema.ts';

/** What the ledger keeps of a profile. */
export function keptOf({ profile, text, builtIn }: LoadedProfile): Omit<KeptProfile, 'id'> {
  const kept = builtIn ? null : text;
  return { name: profile.name, hash: hashOf(kept, profile), text: kept };
}

/** Of the text, and of how keys are sent: a later vidbatch may bring another built-in profile of the same name. */
function hashOf(text: string | null, { idempotency }: Profile): string {
  const keys = idempotency && [idempotency.header.toLowerCase(), idempotency.longest];
  return createHash('sha256')
    .update(JSON.stringify([text, keys ?? null]))
    .digest('hex');
}

/**
 * The profile that a batch remembers.
 * @throws VidbatchError exit 2 when this version of vidbatch does not have it, or cannot read it.
 */
export function recallProfile({ name, text }: Pick<KeptProfile, 'name' | 'text'>): LoadedProfile {
  if (text === null) {
    const builtIn = builtInProfile(name);
    if (builtIn !== undefined) return builtIn;
    throw unreadable(name, `the built-in ones are ${builtInNames().join(', ')}`);
  }
  const read = readProfile(text);
  if ('profile' in read) return { profile: read.profile, text, builtIn: false };
  const [fault] = read.faults;
  throw unreadable(name, `${fault?.field ?? ''} ${fault?.message ?? ''}`.trim());
}

function unreadable(name: string, why: string): Error {
  return usageError(
    'PROFILE_UNKNOWN',
    `this version of vidbatch cannot read the profile ${name} of the batch: ${why}`,
    'Another version of vidbatch made the batch: use one that is at least as new.',
  );
}

/** A profile of the ledger. */
export interface Remembered {
  profile: Profile;
  /** Permission to send uncertain rows of its batches again. */
  sameKey: SameKey | undefined;
}

/** The profiles of a ledger, by their numbers. A profile in the ledger never changes, so each is read once. */
export interface RememberedProfiles {
  /** @throws VidbatchError as `recallProfile`. */
  of(id: number): Promise<Remembered>;
  /** All profiles that this version can read. */
  all(): Promise<Profile[]>;
  /** Of all profiles that this version can read. */
  sameKeys(): Promise<ReadonlyMap<number, SameKey>>;
}

/** `providerIdempotent`: the user says that the provider honours the idempotency key. */
export function rememberedProfiles(
  db: Queryable,
  config: { providerIdempotent?: boolean } = {},
): RememberedProfiles {
  const known = new Map<number, Remembered>();

  async function of(id: number): Promise<Remembered> {
    const before = known.get(id);
    if (before !== undefined) return before;
    const kept = await findProfile(db, id);
    if (kept === undefined) throw new Error(`the ledger has no profile ${id}`);
    const { profile } = recallProfile(kept);
    const remembered = { profile, sameKey: keyOf(kept, profile, config) };
    known.set(id, remembered);
    return remembered;
  }

  async function readable(): Promise<[id: number, one: Remembered][]> {
    const found: [number, Remembered][] = [];
    for (const id of await listProfiles(db)) {
      const one = known.get(id) ?? (await of(id).catch(unlessUnreadable));
      if (one !== undefined) found.push([id, one]);
    }
    return found;
  }

  return {
    of,
    async all() {
      return (await readable()).map(([, { profile }]) => profile);
    },
    async sameKeys() {
      return new Map(
        (await readable()).flatMap(([id, { sameKey }]) => (sameKey === undefined ? [] : [[id, sameKey]])),
      );
    },
  };
}

function unlessUnreadable(error: unknown): undefined {
  if (!(error instanceof VidbatchError)) throw error;
}

/** No permission where another version of vidbatch may have sent other keys for this profile. */
function keyOf(
  kept: KeptProfile,
  profile: Profile,
  config: { providerIdempotent?: boolean },
): SameKey | undefined {
  if (kept.hash !== hashOf(kept.text, profile)) return undefined;
  return sameKeyOf(config, profile.idempotency ?? 'none');
}
