import type { Command } from 'commander';
import type { Io } from './io.ts';

type Register = (program: Command, io: Io, exit: (code: number) => void) => void;

interface Part {
  names: readonly string[];
  load: () => Promise<Register>;
}

/** In the order of the help. Each is loaded when it is asked for: half of a command's start is loading. */
const PARTS: readonly Part[] = [
  { names: ['validate'], load: async () => (await import('./validate.ts')).validateCommand },
  { names: ['plan'], load: async () => (await import('./plan.ts')).planCommand },
  { names: ['submit'], load: async () => (await import('./submit.ts')).submitCommand },
  { names: ['work'], load: async () => (await import('./work.ts')).workCommand },
  { names: ['run'], load: async () => (await import('./run.ts')).runCommand },
  { names: ['status'], load: async () => (await import('./status.ts')).statusCommand },
  { names: ['explain'], load: async () => (await import('./explain.ts')).explainCommand },
  { names: ['export'], load: async () => (await import('./export.ts')).exportCommand },
  { names: ['uncertain'], load: async () => (await import('./uncertain.ts')).uncertainCommand },
  { names: ['resolve'], load: async () => (await import('./resolve.ts')).resolveCommand },
  { names: ['pause', 'resume', 'cancel'], load: async () => (await import('./pause.ts')).gateCommands },
  { names: ['retry'], load: async () => (await import('./retry.ts')).retryCommand },
  { names: ['reconcile'], load: async () => (await import('./reconcile.ts')).reconcileCommand },
  { names: ['download'], load: async () => (await import('./download.ts')).downloadCommand },
  { names: ['report'], load: async () => (await import('./report.ts')).reportCommand },
  { names: ['verify'], load: async () => (await import('./verify.ts')).verifyCommand },
  { names: ['doctor'], load: async () => (await import('./doctor.ts')).doctorCommand },
  { names: ['schedule'], load: async () => (await import('./schedule.ts')).scheduleCommand },
  { names: ['board'], load: async () => (await import('./board.ts')).boardCommand },
  { names: ['simulate'], load: async () => (await import('./simulate.ts')).simulateCommand },
  { names: ['migrate'], load: async () => (await import('./migrate.ts')).migrateCommand },
];

/** The command that this command line names; all of them when it names none of ours: for the help, and for a suggestion. */
export async function commandsFor(argv: readonly string[]): Promise<Register[]> {
  const asked = PARTS.filter(({ names }) => names.includes(argv[0] ?? ''));
  return Promise.all((asked.length > 0 ? asked : PARTS).map(({ load }) => load()));
}
