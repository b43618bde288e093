import { nearest } from '../../core/suggestion.ts';

export const aspectRatios: readonly string[] = ['16:9', '9:16', '1:1', '4:3', '3:4'];

/**
 * What was probably meant: `16x9`, `16：9`, `1920*1080`, and the times of day that spreadsheets make of ratios
 * (`16:09:00` of 16:9).
 */
export function likelyRatio(text: string): string | undefined {
  const plain = text
    .slice(0, 40)
    .normalize('NFKC')
    .replaceAll(/[\s"']/g, '')
    .replaceAll(/[x×*/∶_\-比]/gi, ':');
  const [, width, height] = /^0*(\d{1,5}):0*(\d{1,5})(?::00)?$/.exec(plain) ?? [];
  if (width !== undefined && height !== undefined) {
    const divisor = commonDivisor(Number(width), Number(height));
    const ratio = `${Number(width) / divisor}:${Number(height) / divisor}`;
    // Another well-formed ratio, such as 2:1, is a wish and no slip of the pen.
    return aspectRatios.includes(ratio) ? ratio : undefined;
  }
  return nearest(plain, aspectRatios, 1);
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? Math.max(a, 1) : commonDivisor(b, a % b);
}
