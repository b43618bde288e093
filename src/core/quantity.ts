import { usageError } from './errors.ts';

/** `120s`, `500ms`, `2m`, `1h`, or plain seconds → milliseconds. */
export function parseDuration(name: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)?$/.exec(text.trim());
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match?.[2] ?? 's'];
  const value = Number(match?.[1]) * (unit ?? Number.NaN);
  if (!Number.isFinite(value) || value <= 0 || value > 24 * 3_600_000) {
    throw usageError(
      'BAD_DURATION',
      `${name}: "${text}" is not a duration up to 24h, such as 500ms, 120s, 2m or 1h`,
    );
  }
  return Math.round(value);
}

/** `500000`, `64KB`, `20MB`, `2GB`; also `MiB` and the like, which mean the same → bytes. */
export function parseSize(name: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:(k|m|g|t)i?)?b?$/i.exec(text.trim());
  const unit = 1024 ** (match?.[2] === undefined ? 0 : 'kmgt'.indexOf(match[2].toLowerCase()) + 1);
  const value = Math.round(Number(match?.[1]) * unit);
  if (!Number.isSafeInteger(value) || value <= 0) {
    throw usageError('BAD_SIZE', `${name}: "${text}" is not a size such as 500KB, 20MB or 2GB`);
  }
  return value;
}

export function parseCount(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  const digits = min < 0 ? /^-?\d+$/ : /^\d+$/;
  if (!digits.test(text.trim()) || value < min || value > max) {
    throw usageError('BAD_NUMBER', `${name}: "${text}" is not a whole number from ${min} to ${max}`);
  }
  return value;
}
