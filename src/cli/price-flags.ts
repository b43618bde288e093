import type { Command } from 'commander';
import { readPrices } from '../core/money/prices.ts';
import type { Prices } from '../core/money/prices.ts';
import { flag } from './io.ts';

/** Flags of whoever says what rows cost. */
export interface PriceFlags {
  prices?: string;
}

export function pricesFlag(command: Command): Command {
  return flag(command, '--prices <file>', 'what models cost, such as jobs/prices.example.json');
}

const NONE: Prices = new Map();

/** What nobody has said is not known. */
export async function pricesOf({ prices }: PriceFlags): Promise<Prices> {
  return prices === undefined ? NONE : readPrices(prices);
}

/** Flags of whoever brings a manifest into the ledger. */
export interface CostFlags extends PriceFlags {
  budget?: string;
}

export function costFlags(command: Command): Command {
  return flag(
    pricesFlag(command),
    '--budget <amount>',
    'what the batch may cost, all its life, such as 120CNY, or none (default: as before)',
  );
}
