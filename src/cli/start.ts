import { listenEarly } from './signals.ts';

listenEarly();
await import('./cli.ts');
