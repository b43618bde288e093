import { Pool } from 'pg';

/**
 * Lets a minute pass, in a ledger on Postgres, without waiting for it. The embedded ledger needs none of it: whoever
 * opens its folder knows that the worker before is gone.
 */
export interface LedgerClock {
  /** For what these processes, which are dead, had in flight. */
  deadlinesPass: (dead: readonly number[]) => Promise<void>;
  /** For everything in flight, and for the queues of all workers: when none is alive. */
  allDeadlinesPass: () => Promise<void>;
  close: () => Promise<void>;
}

/** The name of a worker ends with the number of its process and eight digits. */
const OF_DEAD = `
  update vidbatch.submission s set deadline = now() - interval '1 second'
    from vidbatch.attempt a
   where a.id = s.attempt_id and s.state = 'submitting'
     and substring(a.worker from '-(\\d+)-[0-9a-f]{8}$')::int = any($1)`;

export function openClock(databaseUrl: string | undefined): LedgerClock {
  if (databaseUrl === undefined) {
    const nothing = (): Promise<void> => Promise.resolve();
    return { deadlinesPass: nothing, allDeadlinesPass: nothing, close: nothing };
  }
  const pool = new Pool({ connectionString: databaseUrl, max: 1 });
  pool.on('error', () => undefined);
  return {
    async deadlinesPass(dead) {
      // The server may be down at this moment: then time does not pass.
      await pool.query(OF_DEAD, [dead]).catch(() => undefined);
    },
    async allDeadlinesPass() {
      await pool.query(
        `update vidbatch.submission set deadline = now() - interval '1 second' where state = 'submitting'`,
      );
      await pool.query(`update vidbatch.lane set seen_at = seen_at - interval '1 minute'`);
    },
    close: () => pool.end(),
  };
}
