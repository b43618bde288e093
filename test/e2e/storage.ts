import { createDatabase, servers } from '../servers.ts';
import { openPlace } from '../cli.ts';
import type { Place } from '../cli.ts';
import { startStandIn } from './stand-in.ts';
import type { StandIn } from './stand-in.ts';

/** A place whose ledger and queue are a Postgres database of its own, and a stand-in provider to send to. */
export interface Desk extends Place {
  standIn: StandIn;
  databaseUrl: string;
}

const shared = await servers();

/** The quick one: opening an embedded ledger takes seconds, which only tests of that ledger should pay. */
export async function openDesk(...standInFlags: string[]): Promise<Desk> {
  const [standIn, database] = await Promise.all([startStandIn(...standInFlags), createDatabase(shared)]);
  const place = await openPlace({
    DATABASE_URL: database.url,
    VIDBATCH_BASE_URL: standIn.url,
    VIDBATCH_API_KEY: 'sk-e2e',
  });
  return {
    ...place,
    standIn,
    databaseUrl: database.url,
    async close() {
      await place.close();
      await standIn.close();
      await database.drop();
    },
  };
}
