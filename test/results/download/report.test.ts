import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DownloadMeter, formatVideos, formatOutstanding } from '../../../src/cli/results/download-report.ts';
import { noTotals } from '../../../src/results/download/video-list.ts';

describe('what download says', () => {
  it('counts new videos and earlier videos separately', () => {
    const { counts } = noTotals();
    const totals = { counts: { ...counts, downloaded: 60, waiting: 2 }, bytes: 2048 };
    assert.equal(formatVideos(totals, 60), '60 downloaded (2.0 KB) · 2 not completed yet');
    assert.equal(formatVideos(totals, 0), '60 downloaded (2.0 KB), 0 of them now · 2 not completed yet');
  });

  it('names the process that is missing', () => {
    const open = { rows: 135, pending: 130 };
    assert.deepEqual(formatOutstanding(open, { asks: true, sends: true }), ['135 rows may still complete']);
    const [, asks, sends] = formatOutstanding(open, { asks: false, sends: false });
    assert.match(asks ?? '', /^this command cannot poll their tasks: run `vidbatch reconcile --watch`/);
    assert.match(sends ?? '', /^no worker sends the 130 pending rows: start `vidbatch work`/);
    assert.equal(formatOutstanding({ rows: 1, pending: 0 }, { asks: true, sends: false }).length, 1);
  });

  it('never counts more videos than there are', () => {
    const shown: string[] = [];
    const meter = new DownloadMeter({ show: (text) => shown.push(text) });
    meter.wanted(1);
    for (const isThere of [true, false]) meter.fetched(isThere);
    assert.match(shown.at(-1) ?? '', /100% {2}2 of 2 videos/);
    assert.equal(meter.downloaded, 1);
  });
});
