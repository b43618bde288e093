import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseAmount } from '../../src/core/money/amount.ts';
import { AuditSummary } from '../../src/results/audit/summary.ts';
import type { Audit } from '../../src/results/audit/audit.ts';
import { auditText } from '../../src/cli/audit-text.ts';
import type { SideBySide } from '../../src/cli/audit-text.ts';

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
  return auditText(audit, { batch: 'kites', accepting, rows }).join('\n');
}

describe('what is told of a comparison', () => {
  it('says of a row that was not settled that it would be, and of one that was that it is', () => {
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
