import { createDatabase, servers } from '../servers.ts';
import { openPlace } from '../cli.ts';
import type { Place } from '../cli.ts';
import { startSimulatorProcess } from './simulator.ts';
import type { SimulatorProcess } from './simulator.ts';

/** A place whose ledger and queue are a Postgres database of its own, and a simulator to send to. */
export interface Desk extends Place {
  simulator: SimulatorProcess;
  databaseUrl: string;
}

const shared = await servers();

/** The quick one: opening an embedded ledger takes seconds, which only tests of that ledger should pay. */
export async function openDesk(...standInFlags: string[]): Promise<Desk> {
  const [simulator, database] = await Promise.all([
    startSimulatorProcess(...standInFlags),
    createDatabase(shared),
  ]);
  const place = await openPlace({
    DATABASE_URL: database.url,
    VIDBATCH_BASE_URL: simulator.url,
    VIDBATCH_API_KEY: 'sk-e2e',
  });
  return {
    ...place,
    simulator,
    databaseUrl: database.url,
    async close() {
      await place.close();
      await simulator.close();
      await database.drop();
    },
  };
}
