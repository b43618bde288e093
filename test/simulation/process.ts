import type { createLedgerWriter as realWriter } from '../../src/worker/ledger-writer.ts';
import type { Journal } from '../../src/worker/journal/journal.ts';
import type { Claim } from '../../src/ledger/send/claim.ts';
import type { Database } from '../../src/database/database.ts';
import type { Again } from '../../src/ledger/send/unknown-outcome.ts';
import type { Logger } from '../../src/core/log.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import { backoffMs, retryOf, throttleMs, type SameKey } from '../../src/core/retry-policy.ts';
import { momentOf, type Clock, type SubmitPorts } from '../../src/worker/submit.ts';
import { againOf } from '../contract/rows.ts';
import { PROFILE } from './ledger/doubt.ts';
import type { Connection } from './connection.ts';
import type { Machine } from './machine.ts';
import type { Owner } from './scheduler.ts';
import type { Sources } from './sources.ts';
import * as statements from './statements.ts';
import { TIMEOUT_MS } from './wire.ts';
import type { World } from './world.ts';

export const LIFETIME_MS = TIMEOUT_MS + 60_000;
export const FOLDER = '/journal';
export const LEDGER_ID = 'simulated';
export const MAX_ATTEMPTS = 3;
const RESERVE_BYTES = 4_096;

const SILENT = Object.fromEntries(
  ['debug', 'info', 'warn', 'error'].map((level) => [level, () => undefined]),
) as unknown as Logger;

/** A worker: what `worker/sending.ts` and `worker/worker.ts` do around the heart, without queue and sockets. */
export class Process implements Owner {
  alive = true;
  stopped = false;
  /** Replayed, with a journal of its own: takes jobs. */
  ready = false;
  inFlight = 0;
  readonly name: string;
  readonly machine: Machine;
  readonly connection: Connection;
  readonly #world: World;
  readonly #sources: Sources;
  #journal: Journal | undefined;
  #writer: ReturnType<typeof realWriter> | undefined;
  #allRecorded = true;
  #stopping = false;

  constructor(world: World, machine: Machine, name: string) {
    this.#world = world;
    this.#sources = world.sources;
    this.machine = machine;
    this.name = name;
    this.connection = world.connect();
  }

  get asleepUntil(): number {
    return this.machine.asleepUntil;
  }

  /** As `startSending`: what earlier workers left behind is told first. */
  async start(): Promise<void> {
    const db = this.#db();
    const { createLedgerWriter, openJournal, replayJournals } = this.#sources;
    try {
      await replayJournals(db, FOLDER, LEDGER_ID);
      if (this.#world.embedded) await statements.sweep(db, { all: true });
      const again = this.#again();
      if (again !== undefined) await statements.sendUnheardAgain(db, again);
      await statements.armProbe(db, this.#world.origin);
      this.#journal = await openJournal(
        FOLDER,
        { ledger: LEDGER_ID, worker: this.name, origin: this.#world.origin },
        { reserve: RESERVE_BYTES, flushAnswers: this.#world.embedded },
      );
    } catch {
      this.#world.kill(this, 'could not start');
      return;
    }
    this.#writer = createLedgerWriter(
      db,
      { worker: this.name, origin: this.#world.origin, batches: null, lifetimeMs: LIFETIME_MS },
      SILENT,
    );
    this.machine.replayed = true;
    this.ready = true;
  }

  /** One job of the queue: up to so many rows of this batch, as often as the queue likes. */
  async perform(batchId: number, rows: number): Promise<void> {
    const journal = this.#journal;
    const writer = this.#writer;
    if (journal === undefined || writer === undefined || this.#stopping) return;
    this.inFlight += 1;
    try {
      if (await journal.ready().then(yes, no)) {
        const asked = momentOf(this.#clock());
        const { claims } = await writer.claim(batchId, rows);
        await Promise.all(
          claims.map((claim) =>
            this.#sources
              .submit({ claim, asked }, this.#ports(claim, journal, writer))
              .catch((error: unknown) => this.#fails(error)),
          ),
        );
      }
    } catch (error) {
      this.#fails(error);
    } finally {
      this.inFlight -= 1;
    }
  }

  #fails(error: unknown): void {
    this.#allRecorded = false;
    this.#world.note(`${this.name}: job failed: ${String(error)}`);
  }

  async sweep(): Promise<void> {
    await statements.sweep(this.#db(), { again: this.#again() }).catch(no);
  }

  /** As on SIGTERM, when nothing is in flight any more. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#world.scheduler.park(`${this.name} drains`, 0, () => this.inFlight === 0);
    if (this.#journal === undefined) return;
    const bytes = await this.#journal.close().catch(no);
    if (bytes !== false && this.#allRecorded) {
      await statements.rememberJournal(this.#db(), this.#journal.name, bytes).catch(no);
    }
    this.#world.kill(this, 'has stopped');
  }

  #again(): Again | undefined {
    const { sameKey, origin } = this.#world;
    return sameKey === undefined ? undefined : againOf({ origin, profileId: PROFILE }, sameKey, MAX_ATTEMPTS);
  }

  #db(): Database {
    return this.connection as unknown as Database;
  }

  #clock(): Clock {
    const { clock } = this.#world;
    return { wall: () => clock.wall(this.machine), monotonic: () => clock.monotonic(this.machine) };
  }

  #ports(current: Claim, journal: Journal, writer: ReturnType<typeof realWriter>): SubmitPorts {
    const { wire, random, truth } = this.#world;
    return {
      journal: {
        intend: async (claim) => {
          truth.intended.add(claim.attemptId);
          return journal.intend(claim).then(yes, no);
        },
        answer: async (claim, outcome) => {
          const written = await journal.answer(claim, outcome).then(yes, no);
          if (written && outcome.kind === 'accepted') truth.journaled.add(outcome.taskId);
        },
      },
      check: () => undefined,
      provider: {
        create: (body, { idempotencyKey }) => wire.create(current, body, idempotencyKey),
      },
      record: async (result) => {
        const recorded = await writer.record(result);
        if (result.outcome.kind === 'accepted') truth.recorded.add(result.outcome.taskId);
        return recorded;
      },
      wait: (claim, outcome) => waitOf(claim, outcome, () => random.next(), this.#world.sameKey),
      maxAttempts: MAX_ATTEMPTS,
      sameKey: this.#world.sameKey,
      ledgerId: LEDGER_ID,
      pause: () => Promise.resolve(),
      clock: this.#clock(),
    };
  }
}

/** As the worker decides it. */
function waitOf(claim: Claim, outcome: Outcome, random: () => number, sameKey: SameKey | undefined): number {
  if (outcome.kind === 'throttled') {
    return throttleMs({ level: claim.throttleLevel, retryAfterMs: outcome.retry.afterMs, random });
  }
  const retry = retryOf(outcome, sameKey);
  return retry === undefined ? 0 : (retry.afterMs ?? backoffMs({ attempt: claim.spent + 1, random }));
}

function yes(): true {
  return true;
}

function no(): false {
  return false;
}
