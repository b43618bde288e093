import { hostname, userInfo } from 'node:os';

/** The user and the host of this process, for the event log. */
export function operator(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // In a container, the user id may have no name.
    return `${process.getuid?.() ?? 'unknown'}@${hostname()}`;
  }
}
