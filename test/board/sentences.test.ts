import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { decisionOf, EMPTY_FORM } from '../../src/board/settle/form.ts';
import { SENTENCES, toChinese } from '../../src/board/words/sentences-zh.ts';
import { NOUNS, ZH } from '../../src/board/words/zh.ts';
import { nextStep } from '../../src/core/next-step.ts';
import { STATES } from '../../src/core/states.ts';
import { noTaskCounts } from '../../src/core/task-status.ts';
import { attentionOf } from '../../src/operate/attention.ts';
import { REACHED } from '../../src/operate/row-life.ts';
import { checkReason, checkTaskId } from '../../src/operate/resolve.ts';
import type { Unsettled } from '../../src/ledger/read/uncertain.ts';
import { formatTasks } from '../../src/operate/summary.ts';
import { evidenceOf } from '../../src/operate/unsettled.ts';

const HAN = /\p{Script=Han}/u;
const NOW = Date.parse('2026-11-30T12:00:00Z');
const TWO = { ...EMPTY_FORM, do: 'task-id', taskId: 'one', candidate: 'another' };
const EARLIER = new Date(NOW - 3_600_000).toISOString();

suite('the Chinese of the board', () => {
  test('each text keeps the values of its English', () => {
    const slots = (text: string): string[] => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();
    for (const [english, chinese] of Object.entries(ZH)) assert.deepEqual(slots(chinese), slots(english));
    for (const { zh } of Object.values(NOUNS)) assert.match(zh, HAN);
    for (const [english, chinese] of SENTENCES) {
      for (const slot of slots(chinese)) assert.ok(english.includes(slot), `${slot} of: ${english}`);
    }
  });

  test('everything that needs attention is told in it', () => {
    for (const rows of [1, 3]) {
      const all = [rows, 0].flatMap((waiting) =>
        attentionOf(
          {
            paidTwice: rows,
            sharedTasks: [{ batch: 'spring', rows }],
            halts: [
              {
                id: '1',
                origin: 'https://api.example',
                httpStatus: 402,
                code: 'NO_BALANCE',
                reason: 'no money',
                raisedAt: EARLIER,
                rows,
              },
            ],
            unfed: waiting === 0 ? [] : [{ id: '1', batch: 'spring', rows: waiting }],
            lastWorker: new Date(EARLIER),
            someAlive: rows === 1,
            silent: [{ host: 'vm', pid: 1, seenAt: EARLIER }],
            uncertain: rows,
            uncertainCost: [{ amount: '1.40', currency: 'CNY' }],
            uncertainUnpriced: rows - 1,
            oldestUncertain: new Date(EARLIER),
            stopped: [{ id: '1', batch: 'spring', code: null, reason: 'a canary failed', rows }],
            spent: [{ id: '1', batch: 'spring', budget: '12.5', currency: 'CNY', rows }],
            failedSchedules: [
              { id: '1', schedule: 'nightly', batch: 'n', code: null, reason: 'no such file', at: EARLIER },
            ],
            dying: [{ batch: 'spring', videos: rows, firstAt: new Date(NOW + 3_600_000).toISOString() }],
            failedTasks: [{ batch: 'spring', tasks: rows }],
            untold: [
              {
                place: 'slack at https://hooks.slack.com',
                notices: rows,
                events: ['batch-done', 'no-worker'],
                failure: 'HTTP 404',
                at: EARLIER,
              },
            ],
          },
          NOW,
        ),
      );
      assert.equal(new Set(all.map(({ kind }) => kind)).size, 12);
      for (const { kind, what } of all) assert.match(toChinese(what), HAN, `${kind}: ${what}`);
    }
  });

  test('the next step of a row is told in it, in every state', () => {
    for (const state of STATES) {
      for (const providerStatus of [null, 'missing', 'completed', 'failed', 'queued']) {
        const step = nextStep({ batch: 'b', key: 'k', state, deadline: new Date(NOW), providerStatus });
        if (!step.startsWith('`')) assert.match(toChinese(step), HAN, step);
      }
    }
    for (const phase of Object.values(REACHED)) assert.match(toChinese(phase), HAN, phase);
  });

  test('the times of the evidence of an uncertain row, and why it is not settled, are told in it', () => {
    const at = new Date(NOW);
    const row: Unsettled = {
      kind: 'uncertain',
      submissionId: 1,
      batch: 'b',
      source: '/m.csv',
      key: 'k',
      line: 1,
      request: '{}',
      refusals: 0,
      attempts: 1,
      taskId: null,
      surplus: [],
      attempt: null,
    };
    const attempt = {
      id: 'a',
      number: 1,
      worker: 'w',
      origin: 'https://api.example',
      claimedAt: at,
      intendedAt: null,
      deadline: at,
      httpStatus: null,
      requestId: null,
      headers: null,
      body: null,
      bodyLength: 0,
      code: null,
      message: null,
    };
    const lengths = { headers: 10, body: 10, request: 10 };
    for (const phase of ['sending', 'sent', 'answering', 'answered', 'none'] as const) {
      for (const ended of [null, at]) {
        const heard = {
          ...attempt,
          phase,
          finishedAt: ended,
          sweptAt: ended,
          deadlinePassed: ended !== null,
        };
        for (const { name, text } of evidenceOf({ ...row, attempt: heard }, 'ledger', lengths)) {
          if (['when', 'deadline', 'reached'].includes(name)) assert.match(toChinese(text), HAN, text);
        }
      }
    }
    for (const refused of [
      () => checkReason('reason', ''),
      () => checkTaskId('task id', ''),
      () => decisionOf(TWO),
    ])
      assert.throws(refused, ({ message }: Error) => HAN.test(toChinese(message)));
  });

  test('the attempts of a row and what people did are told in it, and names and words of people stay', () => {
    for (const [english, chinese] of [
      ['accepted after 0.8 s', '0.8 秒后被受理'],
      ['HTTP 200 · a whole answer arrived · request id x=1', 'HTTP 200 · 收到了完整的应答 · 请求 ID x=1'],
      ['asked 3 times, last at noon · next at one', '查询过 3 次，最近一次 noon · 下次 one'],
      ['completed ("succeeded") 100%', '已生成（“succeeded”）100%'],
      ['resolve --not-sent by anna@desk: failed', '认定未受理（anna@desk）：failed'],
      ['there is no batch named failed', '没有名为 failed 的批次'],
      ['HTTP 502 · answered', 'HTTP 502 · 应答完整'],
      [
        'ledger: embedded PGlite in /a · queue: the same database',
        '账本：内嵌 PGlite，位于 /a · 队列：同一个数据库',
      ],
      ['2m 05s', '2 分 05 秒'],
      ['9.00 CNY: 1.00 CNY spent · 8.00 CNY left', '9.00 CNY，已花费 1.00 CNY · 剩余 8.00 CNY'],
    ] as const) {
      assert.equal(toChinese(english), chinese);
    }
  });

  test('of a list of numbers, each one is told in it', () => {
    const told = toChinese(formatTasks({ ...noTaskCounts(), completed: 3, failed: 1, queued: 2 }));
    assert.equal(
      told.split(' · ').every((part) => HAN.test(part)),
      true,
      told,
    );
  });

  test('a sentence that the board does not know stays as it is', () => {
    for (const text of ['', 'something new', 'a · b', '<b>']) assert.equal(toChinese(text), text);
  });
});
