import type { Fault } from '../fault.ts';

/** A fault before its row's line is known. */
export type Finding = Omit<Fault, 'line'>;

/** Takes what the rules find; the reader of the row adds the line and applies `strict`. */
export type Report = (finding: Finding) => void;
