import { hostname, userInfo } from 'node:os';

/** Who says so, as far as this machine knows: it stands in the event log. */
export function operator(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // A container may run under a number that no name belongs to.
    return `${process.getuid?.() ?? 'somebody'}@${hostname()}`;
  }
}
