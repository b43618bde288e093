import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { barChart, legend, lineChart } from '../../src/core/charts.ts';

describe('a bar chart', () => {
  const markup = barChart('Rows by state', [
    { label: 'submitted', value: 1200, of: 'submitted' },
    { label: '<b>"rejected"', value: 1, of: 'rejected' },
    { label: 'none', value: 0, of: 'none', shown: 'nothing' },
  ]).markup;

  it('has a name, and each value as text', () => {
    assert.match(markup, /^<svg[^>]+role="img"\s+aria-label="Rows by state"/);
    for (const text of ['submitted', '1,200', 'nothing']) assert.ok(markup.includes(text), text);
  });

  it('shows a small value, and no value as no bar', () => {
    const widths = [...markup.matchAll(/ width="([\d.]+)"/g)].map(([, width]) => Number(width));
    assert.equal(widths.length, 3);
    assert.ok((widths[0] ?? 0) > 100);
    assert.equal(widths[1], 2);
    assert.equal(widths[2], 0);
  });

  it('escapes its texts, and needs neither style nor script', () => {
    assert.ok(markup.includes('&lt;b&gt;&quot;rejected&quot;'));
    assert.doesNotMatch(markup, /<b>|style=|<script/);
  });
});

describe('a line chart', () => {
  const axes = { formatX: (x: number) => `at ${x}` };

  it('draws each line from its first to its last point', () => {
    const { markup } = lineChart(
      'Progress',
      [
        {
          name: 'accepted',
          of: 'submitted',
          points: [
            { x: 0, y: 0 },
            { x: 10, y: 90 },
          ],
        },
      ],
      { ...axes, steps: true },
    );
    assert.match(markup, /d="M70 192H624V[\d.]+"/);
    assert.match(markup, /<title>accepted<\/title>/);
    for (const text of ['at 0', 'at 10', '100', '50']) assert.ok(markup.includes(text), text);
  });

  it('of one moment has one label, and without points it is nothing', () => {
    const one = lineChart('P', [{ name: 'n', of: 'a', points: [{ x: 5, y: 3 }] }], axes).markup;
    assert.equal(one.split('at 5').length, 2);
    assert.doesNotMatch(one, /NaN|Infinity/);
    assert.equal(lineChart('P', [], axes).markup, '');
  });
});

it('a legend says what the colours mean', () => {
  assert.match(
    legend([{ name: 'accepted', of: 'submitted' }]).markup,
    /class="bar submitted"[\s\S]*accepted/,
  );
});
