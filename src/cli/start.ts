import { listenEarly } from './early-signals.ts';

listenEarly();
await import('./cli.ts');
