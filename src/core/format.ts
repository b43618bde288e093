/** `10,000` */
export function count(n: number): string {
  return n.toLocaleString('en');
}

/** `1 row`, `1,234 rows`. `many`: a plural that does not end in s. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** `1h 02m`, `3m 20s`, `12s` */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const two = (n: number): string => String(n).padStart(2, '0');
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)}h ${two(Math.floor((seconds % 3600) / 60))}m`;
  return seconds >= 60 ? `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s` : `${seconds}s`;
}

const UNITS = ['KB', 'MB', 'GB', 'TB'];

/** `999 bytes`, `1.5 MB`, `12 GB`: in steps of 1024, as `parseSize` reads them. */
export function formatSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  let size = bytes / 1024;
  let unit = 0;
  for (; size >= 1023.95 && unit < UNITS.length - 1; unit += 1) size /= 1024;
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
}
