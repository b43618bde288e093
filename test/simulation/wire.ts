import type { Claim } from '../../src/ledger/send/claim.ts';
import type { Evidence, Outcome } from '../../src/core/outcome.ts';
import type { Random } from './random.ts';
import type { Owner, Scheduler } from './scheduler.ts';
import type { Fate, Weather } from './weather.ts';

/** Milliseconds for a whole exchange; what the client gives up after. */
export const TIMEOUT_MS = 120_000;

/** A provider that honours idempotency keys forgets them after a day. */
const KEY_LIFE_MS = 24 * 3_600_000;

/** One POST that left its process. */
export interface Post {
  submissionId: number;
  attemptId: string;
  /** The provider may still accept it. */
  open: boolean;
}

/** The provider and the way to it. What it accepted is the truth of a run. */
export class Wire {
  readonly owner: Owner = { name: 'provider', alive: true, stopped: false };
  readonly posts: Post[] = [];
  /** Task ids by row, in the order of their acceptance. */
  readonly accepted = new Map<number, string[]>();
  readonly #byKey = new Map<string, { taskId: string; at: number }>();
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #weather: Weather;
  #tasks = 0;

  constructor(scheduler: Scheduler, random: Random, weather: Weather) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#weather = weather;
  }

  /** It leaves at once: between the decision to send and the first byte there is no suspension in `worker/submit.ts` either. */
  async create(claim: Claim, body: string, idempotencyKey: string): Promise<Outcome> {
    if (body !== claim.request) throw new Error(`row ${claim.submissionId} was sent as ${body}`);
    const fate = this.#fate();
    if (fate === 'unreachable') {
      await this.#scheduler.park('connection refused');
      return { kind: 'not-sent', retry: {}, evidence: { phase: 'connecting', code: 'ECONNREFUSED' } };
    }
    const post: Post = { submissionId: claim.submissionId, attemptId: claim.attemptId, open: true };
    this.posts.push(post);
    let taskId: string | undefined;
    const accept = (): void => {
      if (post.open) taskId = this.#accept(post.submissionId, idempotencyKey);
      post.open = false;
    };
    const soonMs = this.#random.below(2_000);
    const answerMs = soonMs + this.#random.below(this.#random.chance(0.2) ? TIMEOUT_MS - soonMs : 500);
    if (fate === 'accepted-after-timeout') {
      this.#scheduler.later(
        this.owner,
        'accepts late',
        TIMEOUT_MS + this.#random.below(TIMEOUT_MS * 3),
        accept,
      );
      await this.#scheduler.park('times out', TIMEOUT_MS);
      return uncertain('TIMEOUT');
    }
    if (fate === 'accepted' || fate === 'accepted-unanswered') {
      this.#scheduler.later(this.owner, 'accepts', soonMs, accept);
    } else this.#scheduler.later(this.owner, 'refuses', soonMs, () => (post.open = false));
    await this.#scheduler.park(`${fate} is answered`, answerMs, () => !post.open);
    if (fate !== 'accepted') return refusalOf(fate);
    if (taskId === undefined) throw new Error('answered before it was accepted');
    return { kind: 'accepted', taskId, evidence: { phase: 'answered', httpStatus: 200 } };
  }

  #accept(submissionId: number, key: string): string {
    const known = this.#weather.idempotent ? this.#byKey.get(key) : undefined;
    if (known !== undefined && this.#scheduler.now - known.at < KEY_LIFE_MS) return known.taskId;
    const taskId = `task_${(this.#tasks += 1)}`;
    this.#byKey.set(key, { taskId, at: this.#scheduler.now });
    this.accepted.set(submissionId, [...(this.accepted.get(submissionId) ?? []), taskId]);
    return taskId;
  }

  #fate(): Fate {
    const weights = Object.entries(this.#weather.posts) as [Fate, number][];
    let left = this.#random.next() * weights.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [fate, weight] of weights) {
      left -= weight;
      if (left < 0) return fate;
    }
    return 'accepted';
  }
}

function refusalOf(fate: Exclude<Fate, 'accepted' | 'accepted-after-timeout' | 'unreachable'>): Outcome {
  const evidence: Evidence = { phase: 'answered', code: fate };
  switch (fate) {
    case 'accepted-unanswered':
    case 'lost':
      return uncertain('ECONNRESET');
    case 'rejected':
    case 'halted':
      return { kind: fate, evidence };
    case 'throttled':
      return { kind: fate, retry: {}, evidence };
    case 'not-accepted':
      return { kind: 'not-sent', retry: {}, evidence };
  }
}

function uncertain(code: string): Outcome {
  return { kind: 'uncertain', evidence: { phase: 'sent', code } };
}
