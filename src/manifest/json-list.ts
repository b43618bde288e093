import { excerpt } from '../core/text.ts';
import { isPlainObject } from '../core/json.ts';
import { type ManifestEntry, MAX_RECORD, type RawRow, setField, unreadable } from './entry.ts';
import { JsonCursor, type ScannedValue } from './json-cursor.ts';
import { found, parseRow, type Position } from './json-row.ts';
import { badBytesFault, type TextChunk } from './decode.ts';

const SHAPES = 'allowed are a list of rows, [{…}, {…}], or {"defaults": {…}, "rows": [{…}, {…}]}';

export interface JsonSource {
  /** The text from its start. If `rereadable`, it can be opened more than once. */
  open(): AsyncGenerator<TextChunk, void, void>;
  rereadable: boolean;
  /** All lists of an object hold rows, and its other members are ignored. Numbers that JSON.parse would change are text. */
  wrapped?: boolean;
  maxRecord?: number;
}

/**
 * The entries of a JSON manifest: a list of rows, or an object of `defaults` and `rows` in either order. Broken text is a
 * fault of an entry, and never an exception. If the rest is unreadable, it is the last entry.
 */
export async function* jsonEntries(source: JsonSource): AsyncGenerator<ManifestEntry, void, void> {
  const walk = new Walk(source);
  try {
    const first = await walk.cursor.peek();
    if (first === '[') yield* walk.list(undefined);
    else if (first === '{') yield* source.wrapped === true ? walk.wrapping() : walk.envelope();
    else yield walk.stop(walk.misplaced('"[" or "{"', `; ${SHAPES}`));
    if (!walk.stopped && (await walk.cursor.peek()) !== '')
      yield walk.stop(walk.misplaced('the end of the file'));
  } finally {
    await walk.cursor.close();
  }
}

/** One reading of the text; `stopped` once the rest of it cannot be read. */
class Walk {
  readonly cursor: JsonCursor;
  stopped = false;
  readonly #source: JsonSource;
  readonly #limit: number;
  readonly #digits: 'exact' | 'kept';

  constructor(source: JsonSource) {
    this.#source = source;
    this.#digits = source.wrapped === true ? 'kept' : 'exact';
    this.#limit = source.maxRecord ?? MAX_RECORD;
    this.cursor = new JsonCursor(source.open());
  }

  /** The rest is not read, so no row of the file is sent. */
  stop(entry: ManifestEntry): ManifestEntry {
    this.stopped = true;
    return { ...entry, faults: entry.faults.map((fault) => ({ ...fault, scope: 'file' })) };
  }

  /** The rows of the list that begins here. */
  async *list(defaults: RawRow | undefined): AsyncGenerator<ManifestEntry, void, void> {
    this.cursor.skip();
    if ((await this.cursor.peek()) === ']') {
      this.cursor.skip();
      return;
    }
    for (;;) {
      const first = await this.cursor.peek();
      if (first === '' || ',:]}'.includes(first)) {
        yield this.stop(this.misplaced('a row'));
        return;
      }
      const value = await this.cursor.value(this.#limit);
      yield this.#rowOf(value, defaults);
      if (this.stopped) return;
      const next = await this.cursor.peek();
      if (next !== ',' && next !== ']') {
        yield this.stop(this.misplaced('"," or "]" after a row'));
        return;
      }
      this.cursor.skip();
      if (next === ']') return;
    }
  }

  #rowOf(value: ScannedValue, defaults: RawRow | undefined): ManifestEntry {
    if (value.end === 'too-large') return this.stop(this.#tooLarge(value.at));
    const { entry, row } = parseRow(value.text, value.at, value.bad, this.#digits);
    if (value.end === 'open') return this.stop(entry);
    return row === undefined || defaults === undefined
      ? entry
      : { ...entry, raw: withDefaults(defaults, row) };
  }

  /** The rows of the object that begins here. */
  async *envelope(): AsyncGenerator<ManifestEntry, void, void> {
    const start = this.cursor.position;
    const seen = new Set<string>();
    let defaults: RawRow | undefined;
    for (let key = await this.#key(seen); key !== undefined; key = await this.#key(seen)) {
      if ('faults' in key) {
        yield this.stop(key);
      } else if (key.name === 'defaults') {
        const read = await this.#defaults();
        if ('faults' in read) yield this.stop(read);
        else defaults = read.row;
      } else if ((await this.cursor.peek()) !== '[') {
        yield this.stop(this.misplaced('the list of rows'));
      } else {
        const known = seen.has('defaults') ? { row: defaults } : await this.#laterDefaults(key.at);
        if ('faults' in known) yield this.stop(known);
        else yield* this.list(known.row);
      }
      if (this.stopped) return;
    }
    if (!seen.has('rows')) {
      yield this.stop(unreadable(start.line, 'json-shape', `an object without "rows"; ${SHAPES}`));
    }
  }

  /** The rows of all lists in the object that begins here, and in its objects. */
  async *wrapping(depth = 0): AsyncGenerator<ManifestEntry, void, void> {
    const start = this.cursor.position;
    const seen = new Set<string>();
    let lists = 0;
    for (let key = await this.#key(seen, true); key !== undefined; key = await this.#key(seen, true)) {
      if ('faults' in key) {
        yield this.stop(key);
        return;
      }
      const first = await this.cursor.peek();
      if (first === '[' || (first === '{' && depth < 2)) {
        lists += 1;
        yield* first === '[' ? this.list(undefined) : this.wrapping(depth + 1);
        if (this.stopped) return;
        continue;
      }
      const { at, end } = await this.cursor.value(this.#limit, false);
      if (end === 'open') {
        yield this.stop(unclosed(at));
        return;
      }
    }
    if (depth === 0 && lists === 0)
      yield unreadable(start.line, 'json-shape', 'an object without a list in it');
  }

  /** Moves to the value of the next member; undefined after the closing brace. */
  async #key(
    seen: Set<string>,
    any = false,
  ): Promise<{ name: string; at: Position } | ManifestEntry | undefined> {
    const isFirst = seen.size === 0;
    const before = isFirst ? '{' : ',';
    const opening = await this.cursor.peek();
    if (!isFirst && opening === '}') {
      this.cursor.skip();
      return undefined;
    }
    if (opening !== before) return this.misplaced('"," or "}"');
    this.cursor.skip();
    const first = await this.cursor.peek();
    if (isFirst && first === '}') {
      this.cursor.skip();
      return undefined;
    }
    if (first !== '"') return this.misplaced('a key in double quotes');
    const { text, at } = await this.cursor.value(this.#limit);
    const name = text.slice(1, -1);
    if (!any && name !== 'defaults' && name !== 'rows') {
      return unreadable(at.line, 'json-shape', `${excerpt(name)} has no place here; ${SHAPES}`);
    }
    if (seen.has(name)) return unreadable(at.line, 'duplicate-key', `"${name}" occurs twice`);
    seen.add(name);
    if ((await this.cursor.peek()) !== ':') return this.misplaced('":"');
    this.cursor.skip();
    return { name, at };
  }

  async #defaults(): Promise<{ row: RawRow } | ManifestEntry> {
    if ((await this.cursor.peek()) !== '{') return this.misplaced('an object of defaults');
    const value = await this.cursor.value(this.#limit);
    if (value.end === 'too-large') return this.#tooLarge(value.at);
    const { entry, row } = parseRow(value.text, value.at, value.bad);
    return row === undefined || entry.faults.length > 0 ? { ...entry, raw: {} } : { row };
  }

  /** Defaults that come after the rows are read first, in a separate pass. */
  async #laterDefaults(rows: Position): Promise<{ row: RawRow | undefined } | ManifestEntry> {
    if (!this.#source.rereadable) {
      const message =
        'here "defaults" must come before "rows", since the input can be read only once; without defaults give the list alone, [{…}, {…}]';
      return unreadable(rows.line, 'json-order', message);
    }
    const survey = new Walk(this.#source);
    try {
      await survey.cursor.peek();
      const seen = new Set<string>();
      for (let key = await survey.#key(seen); key !== undefined; key = await survey.#key(seen)) {
        if ('faults' in key) return key;
        if (key.name === 'defaults') return await survey.#defaults();
        await survey.cursor.peek();
        const { at, end } = await survey.cursor.value(this.#limit, false);
        if (end === 'open') return unclosed(at);
      }
      return { row: undefined };
    } finally {
      await survey.cursor.close();
    }
  }

  #tooLarge(at: Position): ManifestEntry {
    const message = `a row of more than ${this.#limit} characters; the rest of the file could not be read`;
    return unreadable(at.line, 'record-too-large', message);
  }

  /** The fault of an unexpected character here. */
  misplaced(expected: string, advice = ''): ManifestEntry {
    const { line, column } = this.cursor.position;
    const bad = this.cursor.takeBad();
    const message = `line ${line} column ${column}: expected ${expected}, found ${found(this.cursor.rest(), 0)}; the rest of the file could not be read${advice}`;
    const entry = unreadable(line, 'bad-json', message);
    return bad === undefined ? entry : { ...entry, faults: [badBytesFault(line, bad), ...entry.faults] };
  }
}

function unclosed({ line, column }: Position): ManifestEntry {
  const message = `line ${line} column ${column}: the list that opens here is never closed; perhaps a quote or a bracket in it is not closed`;
  return unreadable(line, 'bad-json', message);
}

/** Objects are merged key by key. Other values of the row win, also `null`. Each row gets a copy of the defaults. */
function withDefaults(defaults: RawRow, row: RawRow): RawRow {
  const merged: RawRow = {};
  for (const [key, fallback] of Object.entries(defaults)) {
    setField(merged, key, Object.hasOwn(row, key) ? merge(fallback, row[key]) : structuredClone(fallback));
  }
  for (const [key, value] of Object.entries(row)) {
    if (!Object.hasOwn(defaults, key)) setField(merged, key, value);
  }
  return merged;
}

function merge(fallback: unknown, value: unknown): unknown {
  return isPlainObject(fallback) && isPlainObject(value) ? withDefaults(fallback, value) : value;
}
