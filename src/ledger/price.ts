import { DEFAULT_SECONDS } from '../prices.ts';

/** Seconds of the video that a row's request asks for, as SQL. */
export function secondsOf(row: string): string {
  return `coalesce((${row}.request::json ->> 'duration')::int, ${DEFAULT_SECONDS})`;
}
