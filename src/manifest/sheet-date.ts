const DAY_MS = 86_400_000;

/** Day 0 of the two calendars of workbooks. */
const EPOCHS = { 1900: Date.UTC(1899, 11, 30), 1904: Date.UTC(1904, 0, 1) } as const;

/** The first day of a workbook. */
export type Calendar = keyof typeof EPOCHS;

/** The last day that a spreadsheet knows is in the year 9999. */
const LAST_DAY = 2_958_465;

/**
 * The number of a date or time as text: `2026-12-02`, `2026-12-02 14:30:00`, or `14:30:00` without a day. A number that is
 * no date stays as it is.
 */
export function dateText(value: string, calendar: Calendar): string {
  const serial = Number(value);
  if (!(serial >= 0 && serial <= LAST_DAY)) return value;
  // The calendar from 1900 has a 29 February 1900, which never was.
  const shift = calendar === 1900 && serial >= 1 && serial < 60 ? 1 : 0;
  const seconds = Math.round(((serial + shift) * DAY_MS) / 1000);
  const [day = '', time = ''] = new Date(EPOCHS[calendar] + seconds * 1000)
    .toISOString()
    .slice(0, 19)
    .split('T');
  if (serial < 1) return time;
  return time === '00:00:00' ? day : `${day} ${time}`;
}
