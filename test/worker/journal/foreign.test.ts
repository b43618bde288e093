import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openApp } from '../../../src/worker/app.ts';
import type { Role } from '../../../src/worker/judge-ledger.ts';
import { readConfig } from '../../../src/core/config.ts';
import { VidbatchError } from '../../../src/core/errors.ts';
import { createLog } from '../../../src/core/log.ts';
import { copyTemplate } from '../../servers.ts';

let dataDir: string;
before(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'vidbatch-foreign-'));
  await copyTemplate(dataDir);
});
after(() => rm(dataDir, { recursive: true }));

async function opens(role: Role, acceptForeignJournals?: string): Promise<string> {
  try {
    const over = { dataDir, ...(acceptForeignJournals === undefined ? {} : { acceptForeignJournals }) };
    const app = await openApp(readConfig({}, over), role, createLog('fatal'));
    await app.close();
    return 'opened';
  } catch (error) {
    if (!(error instanceof VidbatchError)) throw error;
    return `${error.code} ${error.exitCode} ${error.message}`;
  }
}

async function leave(name: string, text: string): Promise<void> {
  await mkdir(join(dataDir, 'journal'), { recursive: true });
  await writeFile(join(dataDir, 'journal', `${name}.jsonl`), text);
}

async function leaveJournalOf(ledger: string): Promise<void> {
  const header = { kind: 'header', version: 1, ledger, worker: ledger, origin: 'https://a.example', at: '' };
  await leave(ledger, `${JSON.stringify(header)}\n`);
}

test('journals of another ledger stop every sender until a person has accepted them, once', async () => {
  assert.equal(await opens('worker'), 'opened');
  await leaveJournalOf('older');
  assert.match(
    await opens('worker'),
    /^FOREIGN_JOURNALS 3 .*1 journal belongs to another ledger \(older\.jsonl\)/,
  );
  assert.match(await opens('writer'), /^FOREIGN_JOURNALS 3 /, 'workers elsewhere would send its rows');
  assert.equal(await opens('reader'), 'opened');
  assert.equal(await opens('worker', 'anna@desk'), 'opened');
  assert.equal(await opens('worker'), 'opened', 'it is remembered');
  await leaveJournalOf('third');
  assert.match(
    await opens('worker'),
    /^FOREIGN_JOURNALS 3 .*\(third\.jsonl\)/,
    'another ledger is another question',
  );
  assert.equal(await opens('writer', 'anna@desk'), 'opened');
  await leave('torn', '{"kind":"header","version":1,"ledg\0\0\0');
  assert.match(
    await opens('worker'),
    /^FOREIGN_JOURNALS 3 .*1 journal does not say whose it is \(torn\.jsonl\)/,
  );
  assert.equal(await opens('worker', 'anna@desk'), 'opened');
  await leave('begun', '\0'.repeat(100));
  await leave('empty', '');
  assert.equal(await opens('worker'), 'opened', 'a worker that died before its first line has sent nothing');
});
