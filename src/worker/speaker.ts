import { noApiKey } from '../core/config.ts';
import { VidbatchError } from '../core/errors.ts';
import { notSent } from '../core/outcome.ts';
import type { Logger } from '../core/log.ts';
import type { Queryable } from '../database/database.ts';
import { untilLedgerAnswers } from '../database/outage.ts';
import { findProfileOf } from '../ledger/profiles.ts';
import type { Claim } from '../ledger/send/claim.ts';
import type { Provider } from '../provider/client.ts';
import type { Remembered, RememberedProfiles } from '../provider/profile/remembered.ts';
import type { Profile } from '../provider/profile/schema.ts';
import { brokenRule } from './broken-rule.ts';
import type { SubmitPorts } from './submit.ts';

/** What `submit` needs to check and send a row by the profile of its batch. */
type Speech = Pick<SubmitPorts, 'check' | 'provider' | 'sameKey'>;

export interface Speaker {
  /**
   * Whether rows of this batch can be sent, asked before the first of them is claimed.
   * @throws VidbatchError when this worker cannot read the profile, or has no key for it.
   */
  ready(batchId: number): Promise<void>;
  /** The profile that the claim names: it can be another one than that of the claim before. Never rejects. */
  of(claim: Claim): Promise<Speech>;
}

export interface SpeakerOptions {
  db: Queryable;
  provider: Provider;
  profiles: RememberedProfiles;
  /** Models that the configuration adds. */
  models: readonly string[];
  /** Whether there is an API key. */
  hasKey: boolean;
  log: Logger;
}

/** @throws VidbatchError exit 2 when rows of this profile cannot be sent without a key. */
export function checkKey({ name, auth }: Profile, hasKey: boolean): void {
  if (auth === undefined || hasKey) return;
  throw noApiKey(`the profile ${name} needs an API key, and VIDBATCH_API_KEY is not set`);
}

export function createSpeaker({ db, provider, profiles, models, hasKey, log }: SpeakerOptions): Speaker {
  const readyBatches = new Set<number>();

  async function usable(profileId: number): Promise<Remembered> {
    const remembered = await profiles.of(profileId);
    checkKey(remembered.profile, hasKey);
    return remembered;
  }

  return {
    async ready(batchId) {
      if (readyBatches.has(batchId)) return;
      const profileId = await findProfileOf(db, batchId);
      if (profileId === undefined) return;
      await usable(profileId);
      readyBatches.add(batchId);
    },

    async of({ profileId }) {
      const found = await untilLedgerAnswers('profile', log, () =>
        usable(profileId).catch((error: unknown) => {
          if (error instanceof VidbatchError) return error;
          throw error;
        }),
      );
      if (found instanceof VidbatchError) {
        const outcome = notSent(found.code, `${found.message}: not sent`);
        return {
          check: () => undefined,
          provider: { create: () => Promise.resolve(outcome) },
          sameKey: undefined,
        };
      }
      const { profile, sameKey } = found;
      return {
        check: ({ request }) => brokenRule(request, models, profile),
        provider: provider.speaking(profile),
        sameKey,
      };
    },
  };
}
