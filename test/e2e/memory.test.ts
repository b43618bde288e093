import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { after, describe, it } from 'node:test';
import { pipeline } from 'node:stream/promises';
import { join } from 'node:path';
import { exits, openPlace } from '../cli.ts';
import type { Place } from '../cli.ts';
import { csvRow } from './manifest.ts';
import { openDesk } from './storage.ts';

/** Ten times the rows may take so much more memory: nothing may grow with the manifest. */
const MOST = 1.25;

/** Loaded into the command: tells, as it ends, the most memory that it had. */
const TELL = `data:text/javascript,${encodeURIComponent(
  'process.on("exit", () => process.stderr.write(`peak ${process.resourceUsage().maxRSS} KiB`))',
)}`;

async function peakOf(place: Place, args: readonly string[]): Promise<number> {
  const ended = exits(await place.run(args, { env: { NODE_OPTIONS: `--import=${TELL}` } }), 0);
  const kib = Number(/peak (\d+) KiB$/.exec(ended.stderr)?.[1]);
  assert.ok(kib > 0, ended.stderr);
  return kib;
}

async function writeRows(place: Place, name: string, rows: number): Promise<string> {
  const path = join(place.folder, name);
  await pipeline(function* () {
    yield 'id,model,prompt\n';
    for (let i = 1; i <= rows; i += 1) yield csvRow(`${name}-${i}`);
  }, createWriteStream(path));
  return path;
}

function sameMemory(few: number, many: number): void {
  const ratio = many / few;
  assert.ok(ratio <= MOST, `${few} KiB became ${many} KiB: ${ratio.toFixed(2)} times as much`);
}

describe('memory does not follow the number of rows', async () => {
  const here = await openPlace();
  const desk = await openDesk();
  after(() => Promise.all([here.close(), desk.close()]));

  it('of validate', async () => {
    const few = await peakOf(here, ['validate', await writeRows(here, 'few.csv', 40_000)]);
    const many = await peakOf(here, ['validate', await writeRows(here, 'many.csv', 400_000)]);
    sameMemory(few, many);
  });

  it('of submit and of export', async () => {
    const few = await writeRows(desk, 'few.csv', 5_000);
    const many = await writeRows(desk, 'many.csv', 50_000);
    const submit = [await peakOf(desk, ['submit', few]), await peakOf(desk, ['submit', many])] as const;
    sameMemory(...submit);
    const again = [await peakOf(desk, ['submit', few]), await peakOf(desk, ['submit', many])] as const;
    sameMemory(...again);
    sameMemory(await peakOf(desk, ['export', 'few']), await peakOf(desk, ['export', 'many']));
  });
});
