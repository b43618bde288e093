import { isPlainObject } from '../../core/json.ts';

/**
 * A place in a JSON answer: `data.task_id`, `output[0].url`, `creations[].url` (each element), `.` (the answer itself).
 * Data of a profile, so it can only read.
 */
export type Path = readonly (string | number | typeof EACH)[];

const EACH = Symbol('each element');

const STEP = /^(?<key>[^.[\]]{1,128})(?<indexes>(?:\[\d{0,4}\])*)$/;

/** The steps of a written path; undefined if it is not one. */
export function parsePath(written: string): Path | undefined {
  if (written === '.') return [];
  const steps: (string | number | typeof EACH)[] = [];
  for (const part of written.split('.')) {
    const groups = STEP.exec(part)?.groups;
    if (groups === undefined) return undefined;
    steps.push(groups['key'] ?? '');
    for (const [, index = ''] of (groups['indexes'] ?? '').matchAll(/\[(\d*)\]/g))
      steps.push(index === '' ? EACH : Number(index));
  }
  return steps;
}

/** Every value at the path that is there and not null, in order. */
export function valuesAt(value: unknown, path: Path): unknown[] {
  let found: unknown[] = [value];
  for (const step of path) found = found.flatMap((one) => stepInto(one, step));
  return found.filter((one) => one !== undefined && one !== null);
}

function stepInto(value: unknown, step: Path[number]): unknown[] {
  if (typeof step === 'string')
    return isPlainObject(value) && Object.hasOwn(value, step) ? [value[step]] : [];
  if (!Array.isArray(value)) return [];
  return step === EACH ? value : [value[step]];
}
