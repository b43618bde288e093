import { messageOf, VidbatchError } from '../core/errors.ts';
import type { TaskReport } from '../core/outcome.ts';
import type { Provider } from './client.ts';
import type { RememberedProfiles } from './profile/remembered.ts';

/** How one task is asked for. */
interface AskedAs {
  /** The profile of its batch, by its number in the ledger. */
  profileId: number;
  /** Where the provider said to ask for it; null: where the profile says. */
  queryUrl: string | null;
}

/** Asks one provider for tasks, each by the profile of its batch. */
export interface Asker {
  readonly origin: string;
  /** Never throws for an answer. `signal` gives up the answer. */
  query(taskId: string, how: AskedAs & { signal?: AbortSignal }): Promise<TaskReport>;
}

/** An asker that also says where a video needs the key. */
export interface VideoAsker extends Asker {
  /** `Provider.headersFor` by the profile of the task's batch. */
  headersFor(url: string, how: Pick<AskedAs, 'profileId'>): Promise<Readonly<Record<string, string>>>;
}

export function askerOf(provider: Provider, profiles: Pick<RememberedProfiles, 'of'>): VideoAsker {
  return {
    origin: provider.origin,
    async query(taskId, { profileId, queryUrl, signal }) {
      try {
        const { profile } = await profiles.of(profileId);
        return await provider.speaking(profile).query(taskId, {
          ...(signal === undefined ? {} : { signal }),
          ...(queryUrl === null ? {} : { queryUrl }),
        });
      } catch (error) {
        if (!(error instanceof VidbatchError)) throw error;
        return { kind: 'transient', trouble: 'broken', message: messageOf(error) };
      }
    },
    async headersFor(url, { profileId }) {
      try {
        return provider.speaking((await profiles.of(profileId)).profile).headersFor(url);
      } catch (error) {
        if (!(error instanceof VidbatchError)) throw error;
        return {};
      }
    },
  };
}
