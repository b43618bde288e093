import type { Mode } from '../provider/profile/mode.ts';
import type { Fault, RawRow } from './entry.ts';
import type { GenerationRequest } from './request/fields.ts';

/** Rows are identified by their `id`, or by their content (`h1`). */
export type KeyScheme = 'id' | 'h1';

/** A checked row of a manifest. */
export interface Row {
  /** From 0, in file order. */
  position: number;
  /** From 1: the row of the manifest, which its variants share. */
  number: number;
  /** 1-based line in the file on which the row begins. */
  line: number;
  /** As read, after `--map`. */
  raw: RawRow;
  /** Absent when a rule is broken. */
  request?: GenerationRequest;
  mode?: Mode;
  notBefore?: string;
  /** From -100 to 100, higher first. */
  priority?: number;
  /** The id, or the basis of the key. `numbered`: rows with the same basis are numbered. */
  keyBasis: string;
  numbered: boolean;
  contentHash?: string;
  /** The batch from which it was exported. */
  of?: string;
  /** Its key in an export of the target batch. The content must confirm this key. */
  knownAs?: string;
  faults: Fault[];
}

/** A checked row whose position is not known yet. */
export type CheckedRow = Omit<Row, 'position'>;
