import { defined } from '../core/json.ts';
import { firstOf, lastKey, type Path } from './profile/path.ts';
import type { Profile } from './profile/schema.ts';

/** Ids in the answer to a create. */
export interface FoundIds {
  /** Under a task's key, or with its prefix. */
  taskId?: string;
  /** A plain id: of the task, unless the answer has an error. */
  id?: string;
}

/**
 * Names that count as a task's in any text, also without a profile that has them: an answer that may be about a created task is never a
 * reason to send the row again.
 */
const ALWAYS = { key: 'task[_-]?id', prefix: 'task[_-]', beforePrefix: ['id', 'data', 'task'] };

/** Finds the id of a created task as a profile says where it stands. */
export class TaskIds {
  readonly #paths: readonly Path[];
  readonly #plain: readonly Path[];
  readonly #prefixed: readonly Path[];
  readonly #prefixes: readonly string[];
  readonly #inText: RegExp;

  constructor({ taskId, id, prefixedId, idPrefix }: Profile['create']) {
    this.#paths = taskId;
    this.#plain = id;
    this.#prefixed = [...id, ...prefixedId];
    this.#prefixes = idPrefix.map((prefix) => prefix.toLowerCase());
    const keys = [ALWAYS.key, ...escaped(taskId.map(lastKey))].join('|');
    const plainKeys = [...ALWAYS.beforePrefix, ...escaped(this.#prefixed.map(lastKey))].join('|');
    const prefixes = [ALWAYS.prefix, ...escaped(idPrefix)].join('|');
    this.#inText = new RegExp(
      String.raw`"(?:${keys})\\*"\s*:\s*(?:\\*"[^"\\\s]|[1-9[{])|"(?:${plainKeys})\\*"\s*:\s*\[?\s*\\*"(?:${prefixes})`,
      'i',
    );
  }

  find(value: unknown): FoundIds {
    const named = firstOf(value, this.#paths, readId);
    if (named !== undefined) return { taskId: named };
    const lettered = firstOf(value, this.#prefixed, (one) => this.#readPrefixed(one));
    return defined({ taskId: lettered, id: firstOf(value, this.#plain, readId) });
  }

  /** The task id in several objects of one answer: none if they differ. A plain id may be the id of the stream. */
  findInAll(objects: readonly unknown[]): FoundIds {
    const [taskId, ...others] = new Set(objects.flatMap((object) => this.find(object).taskId ?? []));
    return taskId === undefined || others.length > 0 ? {} : { taskId };
  }

  /**
   * Whether an answer may be about a created task, even if its id cannot be read: also deeper than `find` looks, in JSON within
   * a text, and in a cut-off answer. An empty id, null and 0 do not count.
   */
  areIn(body: string, values: readonly unknown[]): boolean {
    return this.#inText.test(body) || values.some((value) => this.find(value).taskId !== undefined);
  }

  #readPrefixed(value: unknown): string | undefined {
    const id = readId(value)?.toLowerCase();
    return id !== undefined && this.#prefixes.some((prefix) => id.startsWith(prefix))
      ? readId(value)
      : undefined;
  }
}

function escaped(texts: readonly (string | undefined)[]): string[] {
  return texts.flatMap((text) => text?.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`) ?? []);
}

/** An id as text: 1-512 printable characters, or a positive whole number. */
function readId(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value > 0 ? String(value) : undefined;
  if (typeof value === 'bigint') return value > 0n ? readId(String(value)) : undefined;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  return /^[^\p{Cc}\p{Cs}\ufffd]{1,512}$/u.test(value) ? value : undefined;
}
