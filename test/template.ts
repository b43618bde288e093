/**
 * `node test/template.ts`: makes the files of two embedded databases in a temporary folder, `empty` and `ledger`, says
 * where, and removes them when its standard input ends. Making them takes seconds, a copy takes milliseconds.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbedded } from '../src/ledger/embedded.ts';
import { migrateLedger } from '../src/ledger/migrate.ts';
import { migrateQueue } from '../src/app.ts';

process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
const folder = mkdtempSync(join(tmpdir(), 'vidbatch-template-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const empty = join(folder, 'empty');
await (await openEmbedded(empty)).end();
const files = join(folder, 'ledger');
cpSync(empty, files, { recursive: true });
const ledger = await openEmbedded(files);
await migrateLedger(ledger);
await migrateQueue(ledger);
// Every copy is given an id of its own by whoever opens it first.
await ledger.query('delete from vidbatch.meta');
await ledger.end();
process.stdout.write(`${JSON.stringify(folder)}\n`);
process.stdin.resume();
