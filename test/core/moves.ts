import { TRANSITIONS, type State } from '../../src/core/states.ts';

/** Whether a row may move so. */
export function isLegal(from: State, to: State): boolean {
  return TRANSITIONS.some((move) => move.from === from && move.to === to);
}
