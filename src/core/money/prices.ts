import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { parseAmount, times, ZERO, compare, CURRENCY, type Amount, type Money } from './money.ts';
import { messageOf, usageError } from '../errors.ts';
import { excerpt, typedExcerpt } from '../text.ts';
import { formatLoss, findLoss } from '../json.ts';

/** The price of a model's videos. */
export interface Price extends Money {
  per: 'second' | 'video';
}

/** By model. A model that is not in the map has no known price, not a price of zero. */
export type Prices = ReadonlyMap<string, Price>;

/** How the rows of a batch get their prices. */
export interface Pricing {
  prices: Prices;
  /** Of a video whose row names no duration. */
  seconds: number;
  /** Also of waiting rows that have a price already: a price file was named. */
  replaces: boolean;
}

/** The duration of a row that names none, where its profile is not known. */
export const DEFAULT_SECONDS = 5;

const SHAPE =
  'A price file is such as {"viduq3p-720p": {"perSecond": "0.5", "currency": "CNY"}}, or perVideo in place of perSecond.';

const amount = z
  .string({
    error: ({ input }) =>
      typeof input === 'number'
        ? `${typedExcerpt(input)} is to be text, such as "${input}": a number in JSON is not exact`
        : `${typedExcerpt(input)} is not an amount as text, such as "0.5"`,
  })
  .transform((text, context): Amount => {
    const read = parseAmount(text);
    if (read !== undefined && compare(read, ZERO) >= 0) return read;
    context.addIssue({
      code: 'custom',
      message: `${excerpt(text)} is not an amount of 0 or more, such as "0.5"`,
    });
    return z.NEVER;
  });

/** A price as it is written. */
export const price = z
  .strictObject(
    {
      perSecond: amount.optional(),
      perVideo: amount.optional(),
      currency: z.string({ error: 'is missing: three to ten capitals, such as "CNY"' }).regex(CURRENCY, {
        error: ({ input }) => `${excerpt(input)} is not three to ten capitals, such as "CNY"`,
      }),
    },
    {
      error: ({ code, input, keys }) =>
        code === 'unrecognized_keys'
          ? `unknown ${keys.map(excerpt).join(', ')}: a price has currency, and either perSecond or perVideo`
          : `${typedExcerpt(input)} is not a price: an object with currency, and either perSecond or perVideo`,
    },
  )
  .transform(({ perSecond, perVideo, currency }, context): Price => {
    if (perSecond !== undefined && perVideo === undefined)
      return { amount: perSecond, currency, per: 'second' };
    if (perVideo !== undefined && perSecond === undefined)
      return { amount: perVideo, currency, per: 'video' };
    context.addIssue({ code: 'custom', message: 'needs exactly one of perSecond and perVideo' });
    return z.NEVER;
  });

const file = z.record(z.string(), price, {
  error: ({ input }) => `${typedExcerpt(input)} is not an object of models and their prices`,
});

/** @throws VidbatchError exit 2, which names the place in the file, and what is allowed there. */
export async function readPrices(path: string): Promise<Prices> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw usageError('PRICES_UNREADABLE', `--prices: ${messageOf(error)}`, SHAPE);
  }
  return parsePrices(text, path);
}

export function parsePrices(text: string, path: string): Prices {
  const bad = (what: string): Error => usageError('BAD_PRICES', `${path}: ${what}`, SHAPE);
  const plain = text.replace(/^\uFEFF/, '');
  let json: unknown;
  try {
    json = JSON.parse(plain);
  } catch (error) {
    throw bad(`is not JSON: ${messageOf(error)}`);
  }
  const loss = findLoss(plain);
  if (loss !== undefined) {
    const { column, message } = formatLoss(loss);
    throw bad(column === undefined ? message : `${column}: ${message}`);
  }
  const read = file.safeParse(json);
  if (read.success) return new Map(Object.entries(read.data));
  const [first, ...more] = read.error.issues;
  const where = first?.path.map(String).join('.') ?? '';
  throw bad(
    `${where === '' ? '' : `${where}: `}${first?.message}${more.length === 0 ? '' : ` (and ${more.length} more)`}`,
  );
}

/** The highest cost of a video of this request; undefined: the price is not known. */
export function priceOf(
  prices: Prices,
  { model, duration }: { model: string; duration?: number },
): Money | undefined {
  const known = prices.get(model);
  return known && costOf(known, { videos: 1, seconds: duration ?? DEFAULT_SECONDS });
}

export function costOf({ amount, currency, per }: Price, many: { videos: number; seconds: number }): Money {
  const units = BigInt(per === 'second' ? many.seconds : many.videos);
  return { amount: times(amount, { units, scale: 0 }), currency };
}
