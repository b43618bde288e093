import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { crc32 } from 'node:zlib';
import { readRequest } from '../src/manifest/request/read-request.ts';

const COLUMNS = ['id', 'model', 'prompt', 'aspect_ratio', 'duration', 'extra_body.seed'];

/** How the prompt of a row begins, and of no other. */
export function promptOf(row: number): string {
  return `Shot ${String(row).padStart(7, '0')}:`;
}

function cells(row: number): string[] {
  const number = String(row).padStart(7, '0');
  return [
    `shot-${number}`,
    'viduq3p-720p',
    `${promptOf(row)} wide aerial over a fishing harbour before sunrise, mist between the masts, one boat leaving with its lamp on; slow push-in, cool blues with a single warm light`,
    '16:9',
    '5',
    String(row),
  ];
}

/** What is sent for a row: by every contender, byte for byte. */
export function bodyOf(row: number): string {
  const raw = Object.fromEntries(cells(row).map((cell, index) => [COLUMNS[index] ?? '', cell]));
  const { request } = readRequest(raw, { source: 'csv', line: row + 2 });
  if (request === undefined) throw new Error(`row ${row} is not valid`);
  return JSON.stringify(request);
}

/** Independent of the order in which the bodies come: who sent all of them and each once has this sum. */
export function checksumOf(rows: number): number {
  let sum = 0;
  for (let row = 0; row < rows; row += 1) sum += crc32(bodyOf(row));
  return sum;
}

/** `from`: the number of the first row. */
export async function writeManifest(path: string, rows: number, from = 0): Promise<void> {
  function* lines(): Generator<string> {
    yield `${COLUMNS.join(',')}\n`;
    for (let row = from; row < from + rows; row += 1) yield `${cells(row).map(quoted).join(',')}\n`;
  }
  await pipeline(lines, createWriteStream(path));
}

function quoted(cell: string): string {
  return cell.includes(',') ? `"${cell}"` : cell;
}
