import { MAX_RECORD, unreadable, type ManifestEntry } from './entry.ts';
import type { JsonSource } from './json-list.ts';
import { parseRow } from './json-row.ts';
import type { BadBytes, TextChunk } from './decode.ts';

/** The entries of a JSONL manifest: one object a line. A fault affects its line alone. */
export async function* jsonlEntries(
  chunks: AsyncIterable<TextChunk>,
  { maxRecord = MAX_RECORD, wrapped = false }: Pick<JsonSource, 'maxRecord' | 'wrapped'> = {},
): AsyncGenerator<ManifestEntry, void, void> {
  const digits = wrapped ? 'kept' : 'exact';
  for await (const line of textLines(chunks, maxRecord)) {
    if (line.text === undefined) {
      yield unreadable(line.number, 'record-too-large', `a line of more than ${maxRecord} characters`);
    } else if (line.text.trim() !== '') {
      yield parseRow(line.text, { line: line.number, column: 1 }, line.bad, digits).entry;
    }
  }
}

interface TextLine {
  /** 1-based. */
  number: number;
  /** Without its line break; undefined when it is too large. */
  text: string | undefined;
  bad: BadBytes | undefined;
}

async function* textLines(
  chunks: AsyncIterable<TextChunk>,
  maxRecord: number,
): AsyncGenerator<TextLine, void, void> {
  let number = 1;
  let parts: string[] = [];
  let length = 0;
  let bad: BadBytes | undefined;
  const add = (part: string): void => {
    length += part.length;
    if (length > maxRecord) parts = [];
    else parts.push(part);
  };
  const finish = (): TextLine => {
    const line = { number, text: length > maxRecord ? undefined : parts.join(''), bad };
    number += 1;
    parts = [];
    length = 0;
    bad = undefined;
    return line;
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let to = chunk.text.indexOf('\n'); to !== -1; to = chunk.text.indexOf('\n', from)) {
      add(chunk.text.slice(from, to));
      from = to + 1;
      yield finish();
    }
    add(chunk.text.slice(from));
    // The bad character is the last of the chunk, so it is on the unfinished line.
    bad ??= chunk.bad;
    if (chunk.bad?.gaveUp === true) bad = chunk.bad;
  }
  if (length > 0) yield finish();
}
