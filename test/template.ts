/**
 * `node test/template.ts`: makes the files of an empty embedded database in a temporary folder, says where, and
 * removes them when its standard input ends. Making them takes seconds, a copy takes milliseconds.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbedded } from '../src/ledger/embedded.ts';

process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
const folder = mkdtempSync(join(tmpdir(), 'vidbatch-template-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const files = join(folder, 'database');
const database = await openEmbedded(files);
await database.end();
process.stdout.write(`${JSON.stringify(files)}\n`);
process.stdin.resume();
