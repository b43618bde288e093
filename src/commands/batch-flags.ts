import type { Command } from 'commander';
import { parseCount } from '../config.ts';
import type { ProduceOptions } from '../producer.ts';
import { flag } from './io.ts';

/** What is said of a batch as a whole, and kept with it until something else is said. */
export interface BatchFlags {
  priority?: string;
}

export function batchFlags(command: Command): Command {
  return flag(
    command,
    '--priority <n>',
    'before or after other batches: -100 to 100, higher first; added to that of each row (default: as before, else 0)',
  );
}

export function batchOptions(flags: BatchFlags): Pick<ProduceOptions, 'priority'> {
  return flags.priority === undefined
    ? {}
    : { priority: parseCount('--priority', flags.priority, -100, 100) };
}
