import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, after, before, test } from 'node:test';
import { formatAudit, openDifferences, type SideBySide } from '../../src/cli/results/audit-output.ts';
import { parseAmount } from '../../src/core/money/money.ts';
import type { Audit } from '../../src/results/audit/audit.ts';
import { AuditSummary } from '../../src/results/audit/summary.ts';

const ROW: SideBySide = { batch: 'kites', key: 'k1', verdict: 'settled', task: 't1', why: 'by request' };

function told(accepting: boolean, rows: readonly SideBySide[] = [ROW], summary = new AuditSummary()): string {
  const signs = { clocks: 'agree', absolute: true, strangers: 0, twins: 0 } as const;
  const doubts: Audit['doubts'] = {
    rows: 12,
    matching: 1,
    settled: accepting ? 1 : 0,
    unproven: 0,
    ambiguous: 0,
    without: 11,
    signs,
  };
  const audit: Audit = { files: [], summary, doubts, stored: 0 };
  return formatAudit(audit, { batch: 'kites', accepting, rows }).join('\n');
}

describe('the text of a comparison', () => {
  it('says which rows were settled, and which rows --accept would settle', () => {
    assert.match(told(false), /^ {6}kites k1 {2}would settle: task t1 \(by request\)$/m);
    assert.match(told(true, [{ ...ROW, verdict: 'accepted' }]), /k1 {2}accepted: task t1/);
    assert.match(told(true), /k1 {2}answered meanwhile: task t1/);
  });

  it('names what was billed and the price, where they differ', () => {
    const [amount, price] = [parseAmount('1'), parseAmount('0.8')];
    assert.ok(amount && price);
    const charge = {
      entry: 'charge',
      amount,
      currency: 'CNY',
      billedAt: 0,
      chargeId: null,
      file: 'b',
    } as const;
    const of = { file: 'b', listed: false, model: null, duration: null, end: null, createdAt: null };
    const lines = [{ ...of, client: null, charge, fault: null }];
    const subject = { known: null, orphaned: false, candidate: false, lines, earlier: [] };
    const summary = new AuditSummary();
    const expected = { amount: price, currency: 'CNY' };
    summary.add({ kinds: ['amount-differs'], expected, subject, row: null, lines: [] });
    assert.match(told(false, [], summary), /^ {6}1\.00 CNY instead of 0\.80 CNY$/m);
  });

  it('ends with the total, and names the next step for rows without a task', () => {
    const lines = told(false).split('\n');
    assert.equal(lines.at(-1), 'nothing differs');
    assert.match(
      lines.join('\n'),
      /^11 uncertain rows without a task that fits.*\n {6}next: `vidbatch uncertain kites` .*`vidbatch resolve kites`/m,
    );
  });
});

describe('the file of differences', () => {
  let folder = '';
  before(async () => void (folder = await mkdtemp(join(tmpdir(), 'vidbatch-differences-'))));
  after(() => rm(folder, { recursive: true }));
  const open = (path: string, files: string[] = []): ReturnType<typeof openDifferences> =>
    openDifferences(path, files, (text) => text);

  test('is written completely first; until then an earlier file stays', async () => {
    const path = join(folder, 'differ.csv');
    const refused = await open(path);
    await refused.drop();
    assert.deepEqual(await readdir(folder), []);
    await writeFile(path, 'earlier');
    const again = await open(path);
    assert.equal(await readFile(path, 'utf8'), 'earlier');
    await again.drop();
    assert.equal(await readFile(path, 'utf8'), 'earlier');
    const whole = await open(path);
    await whole.keep();
    await whole.drop();
    assert.match(await readFile(path, 'utf8'), /^kind,task_id,.+\r?\n$/);
    assert.equal((await stat(path)).mode & 0o777, 0o600, 'it holds prompts');
    assert.deepEqual(await readdir(folder), ['differ.csv']);
  });

  test('is opened at once, and is not one of the files that are read', async () => {
    const bill = join(folder, 'bill.csv');
    await writeFile(bill, 'theirs');
    await assert.rejects(open(bill, [bill]), { code: 'WRITES_WHAT_IT_READS', exitCode: 2 });
    await assert.rejects(open(join(folder, 'nowhere', 'differ.csv')), { code: 'BAD_DIFFERENCES' });
    await assert.rejects(open(folder), { code: 'BAD_DIFFERENCES' });
    assert.equal(await readFile(bill, 'utf8'), 'theirs');
  });

  test('may be a pipe or a terminal', async () => {
    const out = await open('/dev/null');
    await out.keep();
    assert.ok((await stat('/dev/null')).isCharacterDevice());
  });
});
