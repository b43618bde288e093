import { setTimeout as breath } from 'node:timers/promises';

/**
 * Asks again and again until it holds; the limit of the file is the only one. With a breath in between: asked as fast as
 * the answers come, a wait of two seconds takes both processors for as long as it lasts.
 */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await breath(10);
}
