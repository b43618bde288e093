import type { Outcome } from '../core/outcome.ts';
import { backoffMs, retryOf, throttleMs, type SameKey } from '../core/retry-policy.ts';
import type { Claim } from '../ledger/send/claim.ts';
import type { Cooldown } from './rate/cooldown.ts';
import type { QuotaKeeper } from './rate/quota-keeper.ts';
import type { Speaker } from './speaker.ts';
import { submit, type ClaimedRow, type Settled, type SubmitPorts } from './submit.ts';

/** Sends claimed rows, each once, and tells the limits what the provider answered. */
export interface RowSender {
  /** Rejects when the row could not be recorded. */
  send(row: ClaimedRow): Promise<Settled>;
  /** Rows that were recorded. */
  recorded(): number;
  /** False: the journal may hold an answer that the ledger lacks, so the next start must read it. */
  hasRecordedAll(): boolean;
}

interface SenderParts extends Pick<
  SubmitPorts,
  'journal' | 'record' | 'maxAttempts' | 'ledgerId' | 'clock' | 'pause'
> {
  speaker: Speaker;
  quota: QuotaKeeper;
  cooldown: Cooldown;
  random: () => number;
  onSettled: (settled: Settled) => void;
  /** Sees each row that was settled, and tells of a task id that another row has. */
  watchShared: (settled: Settled) => Promise<void>;
}

export function createRowSender(parts: SenderParts): RowSender {
  const { speaker, quota, cooldown, random, onSettled, watchShared, ...ports } = parts;
  const { clock } = ports;
  let recorded = 0;
  let failed = false;

  function wait(claim: Claim, outcome: Outcome, sameKey: SameKey | undefined): number {
    if (outcome.kind === 'throttled') {
      return throttleMs({
        level: claim.throttleLevel,
        random,
        baseMs: quota.throttleBaseMs(),
        retryAfterMs: outcome.retry.afterMs,
      });
    }
    const retry = retryOf(outcome, sameKey);
    return retry === undefined ? 0 : (retry.afterMs ?? backoffMs({ attempt: claim.spent + 1, random }));
  }

  async function send(row: ClaimedRow): Promise<Settled> {
    const began = clock.monotonic();
    const speech = await speaker.of(row.claim);
    const settled = await submit(row, {
      ...ports,
      ...speech,
      wait: (claim, outcome) => wait(claim, outcome, speech.sameKey),
    });
    recorded += 1;
    quota.settled(clock.monotonic() - began);
    if (settled.outcome.kind === 'throttled') {
      cooldown.start(settled.waitMs);
      await quota.refused(settled.claim.attemptId, settled.waitMs);
    }
    onSettled(settled);
    await watchShared(settled);
    return settled;
  }

  return {
    async send(row) {
      try {
        return await send(row);
      } catch (error) {
        failed = true;
        throw error;
      }
    },
    recorded: () => recorded,
    hasRecordedAll: () => !failed,
  };
}
