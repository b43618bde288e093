const UNITS = ['KB', 'MB', 'GB', 'TB'];

/** `999 bytes`, `1.5 MB`, `12 GB`: in steps of 1024, as `parseSize` reads them. */
export function sizeTold(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  let size = bytes / 1024;
  let unit = 0;
  for (; size >= 1023.95 && unit < UNITS.length - 1; unit += 1) size /= 1024;
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
}
