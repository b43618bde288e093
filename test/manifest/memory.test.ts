import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { makeFolder } from './fixture.ts';

const PROMPT = '镜头缓慢推进 "slowly", then fast';

const formats: Record<string, (rows: number) => Generator<string>> = {
  *csv(rows) {
    yield 'id,prompt\n';
    for (let n = 0; n < rows; n += 1) yield `${n},"${PROMPT.replaceAll('"', '""')}"\n`;
  },
  *jsonl(rows) {
    for (let n = 0; n < rows; n += 1) yield `${JSON.stringify({ id: n, prompt: PROMPT })}\n`;
  },
  // Defaults after the rows: the file is read twice.
  *json(rows) {
    yield '{"rows": [';
    for (let n = 0; n < rows; n += 1) {
      yield `${n === 0 ? '' : ',\n'}${JSON.stringify({ id: n, prompt: PROMPT })}`;
    }
    yield '], "defaults": {"model": "m"}}';
  },
};

// What is alive after a full collection: unlike the resident size it does not depend on when garbage is collected.
const READER = `
  const { openManifest } = await import(process.argv[1]);
  let rows = 0;
  let peak = 0;
  for await (const entry of (await openManifest(process.argv[2])).entries) {
    if (entry.faults.length === 0) rows += 1;
    if (rows % 10_000 > 0) continue;
    gc();
    const { heapUsed, external } = process.memoryUsage();
    peak = Math.max(peak, heapUsed + external);
  }
  console.log(JSON.stringify({ rows, peak }));
`;

for (const [format, generate] of Object.entries(formats)) {
  test(`the memory for ${format} does not grow with the number of rows`, async () => {
    await using folder = await makeFolder();
    const peak = async (rows: number): Promise<number> => {
      const file = folder.path(`${rows}.${format}`);
      await pipeline(Readable.from(batched(generate(rows))), createWriteStream(file));
      const module = new URL('../../src/manifest/manifest.ts', import.meta.url).href;
      const args = ['--expose-gc', '--input-type=module', '-e', READER, module, file];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      const result = JSON.parse(stdout) as { rows: number; peak: number };
      assert.equal(result.rows, rows);
      return result.peak;
    };
    const few = await peak(20_000);
    const many = await peak(200_000);
    assert.ok(many < 1.25 * few, `${few} bytes for 20,000 rows, ${many} for 200,000`);
  });
}

function* batched(lines: Iterable<string>): Generator<string> {
  let batch = '';
  for (const line of lines) {
    batch += line;
    if (batch.length > 65_536) {
      yield batch;
      batch = '';
    }
  }
  yield batch;
}
