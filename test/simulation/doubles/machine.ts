/** In place of `node:timers/promises`, `node:crypto`, the file locks and the globals that tell the time. */
import { onStage } from '../stage.ts';

export { createHash } from 'node:crypto';

export async function setTimeout(ms: number): Promise<void> {
  await onStage().scheduler.park(`sleep ${ms}`, ms);
}

export function setImmediate(callback: () => void): void {
  void onStage().scheduler.park('turn of the event loop').then(callback);
}

export function randomUUID(): string {
  return onStage().random.uuid();
}

export function lockFile(path: string): { release(): void } | undefined {
  const { disk, owner } = onStage();
  return disk(owner).lock(path, owner);
}

export class Date extends globalThis.Date {
  constructor() {
    super(Date.now());
  }
  static override now(): number {
    const { wall, owner } = onStage();
    return wall(owner);
  }
}
