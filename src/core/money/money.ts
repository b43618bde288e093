/** An exact decimal, `units` × 10^-`scale`. Equal amounts may differ in scale: use `compare`. */
export interface Amount {
  units: bigint;
  /** 0 to `MAX_SCALE`. */
  scale: number;
}

/** As in the columns of the schema. */
const MAX_SCALE = 20;
const MOST_DIGITS = 40;

export const ZERO: Amount = { units: 0n, scale: 0 };

const PLAIN =
  /^(?<sign>[+-]?)(?<whole>\d+|\d{1,3}(?:,\d{3})+(?=\.)|\d{1,3}(?:,\d{3}){2,})?(?:\.(?<part>\d*))?(?:[eE](?<shift>[+-]?\d{1,3}))?$/;

/** Reads `1.20`, `-3`, `.5`, `1e-7` and `1,234.50`. Undefined for the ambiguous `1,234` and `0,5`, and for other text. */
export function parseAmount(text: string): Amount | undefined {
  const { sign = '', whole = '', part = '', shift = '0' } = PLAIN.exec(text.trim())?.groups ?? {};
  if (whole === '' && part === '') return undefined;
  const digits = whole.replaceAll(',', '') + part;
  const scale = part.length - Number(shift);
  if (digits.length > MOST_DIGITS || scale < -MOST_DIGITS) return undefined;
  const units = BigInt(digits + '0'.repeat(Math.max(0, -scale))) * (sign === '-' ? -1n : 1n);
  const amount = shortened({ units, scale: Math.max(0, scale) });
  return amount.scale > MAX_SCALE ? undefined : amount;
}

/** Plain digits with a point, as Postgres' `numeric` reads them; at least `places` behind the point. */
export function formatAmount(amount: Amount, places = 0): string {
  const { units, scale } = shortened(amount);
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0');
  const point = digits.length - scale;
  const part = digits.slice(point).padEnd(places, '0');
  return `${units < 0n ? '-' : ''}${digits.slice(0, point)}${part === '' ? '' : `.${part}`}`;
}

export function add(a: Amount, b: Amount): Amount {
  const scale = Math.max(a.scale, b.scale);
  return { units: raised(a, scale) + raised(b, scale), scale };
}

export function negate({ units, scale }: Amount): Amount {
  return { units: -units, scale };
}

export function times(a: Amount, b: Amount): Amount {
  return shortened({ units: a.units * b.units, scale: a.scale + b.scale });
}

/** Negative, 0 or positive, as in `toSorted`. */
export function compare(a: Amount, b: Amount): number {
  const difference = add(a, negate(b)).units;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

function raised({ units, scale }: Amount, to: number): bigint {
  return units * 10n ** BigInt(to - scale);
}

function shortened({ units, scale }: Amount): Amount {
  let amount = { units, scale };
  while (amount.scale > 0 && amount.units % 10n === 0n) {
    amount = { units: amount.units / 10n, scale: amount.scale - 1 };
  }
  return amount;
}

/** Currencies are never converted. */
export interface Money {
  amount: Amount;
  /** In capitals: `CNY`. */
  currency: string;
}

export const CURRENCY = /^[A-Z]{3,10}$/;

/** `120CNY`, `99.50 usd`; undefined for other text. */
export function parseMoney(text: string): Money | undefined {
  const match = /^(.*[\d.])\s*([a-z]+)$/is.exec(text.trim());
  const amount = parseAmount(match?.[1] ?? '');
  const currency = match?.[2]?.toUpperCase() ?? '';
  return amount === undefined || !CURRENCY.test(currency) ? undefined : { amount, currency };
}

/** One sum for each currency, in the order of their names. */
export function sums(of: Iterable<Money>): Money[] {
  const totals = new Map<string, Amount>();
  for (const { amount, currency } of of) totals.set(currency, add(totals.get(currency) ?? ZERO, amount));
  return [...totals]
    .map(([currency, amount]) => ({ amount, currency }))
    .toSorted((a, b) => (a.currency < b.currency ? -1 : 1));
}

/** For people: `1,234.50 CNY`, with at least two decimal places. */
export function formatMoney({ amount, currency }: Money): string {
  const [whole = '', part = ''] = formatAmount(amount, 2).split('.');
  return `${whole.replaceAll(/\B(?=(\d{3})+$)/g, ',')}.${part} ${currency}`;
}

/** For programs: the amount as text. */
export function moneyJson({ amount, currency }: Money): { amount: string; currency: string } {
  return { amount: formatAmount(amount), currency };
}
