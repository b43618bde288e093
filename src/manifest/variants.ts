import { excerpt } from '../core/text.ts';
import type { CheckedRow, KeyScheme } from './checked-row.ts';
import { faultAt, type Fault } from './entry.ts';
import { LONGEST_ID } from './request/own-columns.ts';

/** More variants of a row are probably a mistake. */
export const MOST_VARIANTS = 100;

/** The end of the id of a variant. */
const ENDING = /#\d+$/;

/**
 * The id of the second and each further variant: `a#2`, `a#3` … The first variant has the id of the row, so a batch that was
 * sent without variants has the first ones already, and another number of variants changes no id.
 */
function variantId(id: string, variant: number): string {
  return `${id}#${variant}`;
}

/**
 * The variants of a checked row; only the row itself, with its faults, if it cannot be sent. Rows without ids are the same
 * row several times, and get the next numbers of their content.
 */
export function* variantsOf(
  row: CheckedRow,
  scheme: KeyScheme,
  { variants, strict }: { variants: number; strict: boolean },
): Generator<CheckedRow> {
  const faults = variants === 1 ? [] : faultsOf(row, scheme, variants, strict);
  if (faults.some(({ severity }) => severity === 'error')) {
    const { request: _request, contentHash: _hash, ...rest } = row;
    yield { ...rest, faults: [...row.faults, ...faults] };
    return;
  }
  yield { ...row, faults: [...row.faults, ...faults] };
  if (row.request === undefined) return;
  for (let variant = 2; variant <= variants; variant += 1) {
    const id = variantId(row.keyBasis, variant);
    // One report of a warning is enough.
    yield scheme === 'id'
      ? { ...row, keyBasis: id, raw: { ...row.raw, id }, faults: [] }
      : { ...row, faults: [] };
  }
}

function faultsOf(
  { keyBasis, line, request, numbered }: CheckedRow,
  scheme: KeyScheme,
  variants: number,
  strict: boolean,
): Fault[] {
  const faults: Fault[] = [];
  const hasId = scheme === 'id' && !numbered;
  if (hasId && ENDING.test(keyBasis)) {
    const message = `${excerpt(keyBasis)} ends like the id of a variant: with --variants, no id ends in # and a number`;
    // Any other row may have a variant with this id, so the fault concerns the whole file.
    faults.push(faultAt(line, 'variant-id', message, { column: 'id', scope: 'file' }));
  } else if (hasId && Array.from(variantId(keyBasis, variants)).length > LONGEST_ID) {
    const message = `${excerpt(keyBasis)} is too long: with its number, the id of a variant has at most ${LONGEST_ID} characters`;
    faults.push(faultAt(line, 'id-length', message, { column: 'id' }));
  }
  const seed = request?.extra_body?.['seed'];
  if (seed !== undefined) {
    const message = `all ${variants} variants have the seed ${excerpt(seed)}, and may be the same video; each is paid`;
    const severity = strict ? 'error' : 'warning';
    faults.push(faultAt(line, 'variant-seed', message, { column: 'extra_body.seed', severity }));
  }
  return faults;
}
