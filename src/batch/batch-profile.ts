import { refusal } from '../core/errors.ts';
import { quoted } from '../core/text.ts';
import type { Queryable, Session } from '../database/database.ts';
import { logEvent, type Batch } from '../ledger/batches.ts';
import { findProfile, keepProfile, updateProfile, wasSent } from '../ledger/profiles.ts';
import { keptOf, recallProfile } from '../provider/profile/remembered.ts';
import { DEFAULT_PROFILE, loadProfile, type LoadedProfile } from '../provider/profile/load.ts';

/**
 * The profile by which a manifest is read: the named one, or that of its batch. `named`: a built-in name or a file.
 * @throws VidbatchError exit 2 for a profile that cannot be found or read.
 */
export async function profileFor(
  db: Queryable | undefined,
  batch: Pick<Batch, 'profileId'> | undefined,
  named: string | undefined,
): Promise<LoadedProfile> {
  if (named !== undefined) return loadProfile(named);
  const kept = db === undefined || batch === undefined ? undefined : await findProfile(db, batch.profileId);
  return kept === undefined ? loadProfile(DEFAULT_PROFILE) : recallProfile(kept);
}

/** The seconds of a video of this batch whose row names none. */
export async function defaultSeconds(db: Queryable, batch: Pick<Batch, 'profileId'>): Promise<number> {
  const { profile } = await profileFor(db, batch, undefined);
  return profile.fields.defaultDuration;
}

/** How a named profile changes what a batch remembers. */
export type ProfileNews =
  /** It has the name that the batch knows, and another text. */
  | { kind: 'corrected'; profile: string }
  /** The batch had another profile, and no row of it was ever sent. */
  | { kind: 'replaced'; profile: string; before: string };

/** Writes the profile into the ledger. Undefined: the batch knows it already. */
export async function profileNews(
  session: Session,
  batch: Batch,
  named: LoadedProfile,
): Promise<{ id: number; news: ProfileNews } | undefined> {
  const kept = keptOf(named);
  const id = await keepProfile(session, kept);
  if (id === batch.profileId) return undefined;
  if (kept.name === batch.profile) return { id, news: { kind: 'corrected', profile: kept.name } };
  if (await wasSent(session, batch.id)) throw otherProfile(batch, kept.name);
  return { id, news: { kind: 'replaced', profile: kept.name, before: batch.profile } };
}

/** Rows that are in flight end as they began. From now on, rows are sent, and answers are read, by this profile. */
export async function takeProfile(
  session: Session,
  batch: Batch,
  { id, news }: { id: number; news: ProfileNews },
  who: string | undefined,
): Promise<void> {
  await updateProfile(session, batch.id, id);
  await logEvent(session, 'profile', formatProfileNews(news), batch.id, who);
  batch.profileId = id;
  batch.profile = news.profile;
}

export function formatProfileNews(news: ProfileNews): string {
  return news.kind === 'corrected'
    ? `the profile ${news.profile} has another text than before: it counts for this batch from now on`
    : `the profile of this batch is ${news.profile} now, and no longer ${news.before}`;
}

/** Another profile can give the answers to earlier requests another meaning. */
function otherProfile(batch: Batch, name: string): Error {
  return refusal(
    'PROFILE_DIFFERS',
    `batch ${batch.name} was sent by the profile ${batch.profile}, and --profile names ${name}; nothing was sent`,
    `Without --profile and VIDBATCH_PROFILE, \`vidbatch run\` continues with ${batch.profile}. A corrected file keeps its name: ${quoted(batch.profile)}. --batch NAME makes a new batch, and pays for all of its rows.`,
  );
}
