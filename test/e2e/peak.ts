import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { join } from 'node:path';
import { exits, type Cli, type Spawning } from '../cli.ts';
import { csvRow } from './manifest.ts';

/** Many times the rows may take so much more memory: nothing may grow with the manifest. */
const MOST = 1.25;

/** Loaded into the command: tells, as it ends, the most memory that it had. */
const TELL = `data:text/javascript,${encodeURIComponent(
  'process.on("exit", () => process.stderr.write(`peak ${process.resourceUsage().maxRSS} KiB`))',
)}`;

/** The most memory that a command had, in KiB. */
export async function peakOf(
  cli: Cli,
  args: readonly string[],
  options: Pick<Spawning, 'program'> = {},
): Promise<number> {
  const ended = exits(await cli.run(args, { ...options, env: { NODE_OPTIONS: `--import=${TELL}` } }), 0);
  const kib = Number(/peak (\d+) KiB$/.exec(ended.stderr)?.[1]);
  assert.ok(kib > 0, ended.stderr);
  return kib;
}

export async function writeRows(cli: Cli, name: string, rows: number): Promise<string> {
  const path = join(cli.folder, name);
  await pipeline(function* () {
    yield 'id,model,prompt\n';
    for (let i = 1; i <= rows; i += 1) yield csvRow(`${name}-${i}`);
  }, createWriteStream(path));
  return path;
}

export function sameMemory(few: number, many: number, most = MOST): void {
  const ratio = many / few;
  assert.ok(ratio <= most, `${few} KiB became ${many} KiB: ${ratio.toFixed(2)} times as much`);
}
