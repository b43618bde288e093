import { createDatabase, servers } from '../servers.ts';
import { openCli, type Cli } from '../cli.ts';
import { startSimulatorProcess, type SimulatorProcess } from './simulator.ts';

/** A place whose ledger and queue are a Postgres database of its own, and a simulator to send to. */
export interface CliOnPostgres extends Cli {
  simulator: SimulatorProcess;
  databaseUrl: string;
}

const shared = await servers();

/** The quick one: opening an embedded ledger takes seconds, which only tests of that ledger should pay. */
export async function openCliOnPostgres(...standInFlags: string[]): Promise<CliOnPostgres> {
  const [simulator, database] = await Promise.all([
    startSimulatorProcess(...standInFlags),
    createDatabase(shared),
  ]);
  const cli = await openCli({
    DATABASE_URL: database.url,
    VIDBATCH_BASE_URL: simulator.url,
    VIDBATCH_API_KEY: 'sk-e2e',
  });
  return {
    ...cli,
    simulator,
    databaseUrl: database.url,
    async close() {
      await cli.close();
      await simulator.close();
      await database.drop();
    },
  };
}
