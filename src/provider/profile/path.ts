import { isPlainObject } from '../../core/json.ts';

/**
 * A place in a JSON answer: `data.task_id`, `output[0].url`, `[0].id`, `creations[].url` (each element), `.` (the answer itself).
 * Data of a profile, so it can only read.
 */
export type Path = readonly (string | number | typeof EACH)[];

const EACH = Symbol('each element');

const STEP = /^(?<key>[^.[\]]{0,128})(?<indexes>(?:\[\d{0,4}\])*)$/;

/** The steps of a written path; undefined if it is not one. */
export function parsePath(written: string): Path | undefined {
  if (written === '.') return [];
  const steps: (string | number | typeof EACH)[] = [];
  for (const part of written.split('.')) {
    const groups = STEP.exec(part)?.groups;
    if (groups === undefined) return undefined;
    if (groups['key'] !== '') steps.push(groups['key'] ?? '');
    // Only an answer that is a list itself begins with an index.
    else if (steps.length > 0 || groups['indexes'] === '') return undefined;
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

/** What `accept` makes of the first value at the path that it accepts. It makes no lists, so it is cheap. */
export function firstAt<T>(
  value: unknown,
  path: Path,
  accept: (value: unknown) => T | undefined,
  from = 0,
): T | undefined {
  let found = value;
  for (let at = from; at < path.length; at += 1) {
    const step = path[at];
    if (typeof step === 'string') {
      if (!isPlainObject(found) || !Object.hasOwn(found, step)) return undefined;
      found = found[step];
    } else if (!Array.isArray(found)) {
      return undefined;
    } else if (typeof step === 'number') {
      found = found[step];
    } else {
      for (const item of found) {
        const accepted = firstAt(item, path, accept, at + 1);
        if (accepted !== undefined) return accepted;
      }
      return undefined;
    }
  }
  return found === undefined || found === null ? undefined : accept(found);
}

/** The same for several paths, the first one first. */
export function firstOf<T>(
  value: unknown,
  paths: readonly Path[],
  accept: (value: unknown) => T | undefined,
): T | undefined {
  for (const path of paths) {
    const accepted = firstAt(value, path, accept);
    if (accepted !== undefined) return accepted;
  }
  return undefined;
}

/** The last key of a path, without the indexes after it. */
export function lastKey(path: Path): string | undefined {
  return path.findLast((step) => typeof step === 'string');
}

/** Whether both paths name the same place. */
export function samePlace(one: Path, other: Path): boolean {
  return one.length === other.length && one.every((step, at) => step === other[at]);
}

function stepInto(value: unknown, step: Path[number]): unknown[] {
  if (typeof step === 'string')
    return isPlainObject(value) && Object.hasOwn(value, step) ? [value[step]] : [];
  if (!Array.isArray(value)) return [];
  return step === EACH ? value : [value[step]];
}
