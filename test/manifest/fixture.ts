import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Manifest, ManifestEntry } from '../../src/manifest/entry.ts';
import { openManifest, type ManifestOptions } from '../../src/manifest/manifest.ts';
import type { TextChunk } from '../../src/manifest/decode.ts';

export interface Folder extends AsyncDisposable {
  path(name: string): string;
  write(name: string, content: string | Uint8Array): Promise<string>;
}

/** A folder of its own, removed at the end of the test. */
export async function makeFolder(): Promise<Folder> {
  const made = await mkdtempDisposable(join(tmpdir(), 'vidbatch-manifest-'));
  const path = (name: string): string => join(made.path, name);
  return {
    path,
    async write(name, content) {
      await writeFile(path(name), content);
      return path(name);
    },
    [Symbol.asyncDispose]: () => made.remove(),
  };
}

export interface Reading {
  manifest: Manifest;
  entries: ManifestEntry[];
}

/** Writes a file of that name, opens it as a manifest and reads it to its end. */
export async function read(
  name: string,
  content: string | Uint8Array,
  options: ManifestOptions = {},
): Promise<Reading> {
  await using folder = await makeFolder();
  const manifest = await openManifest(await folder.write(name, content), options);
  return { manifest, entries: await collect(manifest.entries) };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

/** `12 bad-json` for each fault. */
export function rules(entries: readonly ManifestEntry[]): string[] {
  return entries.flatMap(({ faults }) => faults.map(({ line, rule }) => `${line} ${rule}`));
}

/** Text in chunks of `size` UTF-16 units, never cutting a surrogate pair, as a decoder would give it. */
export async function* inChunks(text: string, size: number): AsyncGenerator<TextChunk, void, void> {
  let chunk = '';
  for (const character of text) {
    chunk += character;
    if (chunk.length >= size) {
      yield { text: chunk };
      chunk = '';
    }
  }
  if (chunk !== '') yield { text: chunk };
}

/** UTF-16BE, which `Buffer` does not write. */
export function utf16be(text: string): Buffer {
  return Buffer.from(text, 'utf16le').swap16();
}

/** GB18030 of the few characters that the tests use; `TextEncoder` writes UTF-8 only. */
export function gb18030(text: string): Buffer {
  const decoder = new TextDecoder('gb18030');
  const known = new Map<string, number[]>();
  for (let lead = 0xb0; lead <= 0xf7; lead += 1) {
    for (let trail = 0xa1; trail <= 0xfe; trail += 1) {
      known.set(decoder.decode(Uint8Array.of(lead, trail)), [lead, trail]);
    }
  }
  return Buffer.from(
    Array.from(text).flatMap((character) => {
      if (character < '\x80') return [character.charCodeAt(0)];
      const bytes = known.get(character);
      if (bytes === undefined) throw new Error(`${character} is not in the everyday part of GB18030`);
      return bytes;
    }),
  );
}
