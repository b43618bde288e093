import { listenEarly } from './signals.ts';

listenEarly();
const { main } = await import('./cli.ts');
process.exitCode = await main(process.argv.slice(2));
// An open socket or a library's timer must not keep a finished command alive.
process.stdout.write('', () => process.exit());
