/**
 * How a text tells a moment. Programs, files and pages get RFC 3339 in UTC; a command tells its user local time, and how
 * long ago it was. `near`: a moment of the same sentence, so that a close one needs no date and no zone again.
 */
export type TellTime = (at: Date, near?: Date) => string;

/** `2026-11-30T06:32:05.000Z` */
export const tellUtc: TellTime = (at) => at.toISOString();
