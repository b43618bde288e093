import assert from 'node:assert/strict';

/** A family of samples, as the text exposition format 0.0.4 has it. */
export interface Family {
  name: string;
  type: string;
  help: string;
  samples: Sample[];
}

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)/y;

/**
 * Reads every line, and refuses what Prometheus would: a line of no kind, a sample before its HELP and TYPE or outside of
 * its family, a family or a sample that comes twice, a value that is none, a histogram whose buckets do not add up.
 */
export function parseExposition(text: string): Map<string, Family> {
  assert.match(text, /\n$/, 'the last line has an end');
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let current: Family | undefined;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind === 'HELP') {
      assert.ok(!families.has(name), `${name} comes twice`);
      assert.match(name, /^[a-z][a-z\d_]*$/);
      current = { name, help: rest, type: '', samples: [] };
      families.set(name, current);
    } else if (kind === 'TYPE') {
      assert.equal(current?.name, name, `the TYPE of ${name} does not follow its HELP`);
      assert.match(rest, /^(counter|gauge|histogram|summary)$/);
      current.type = rest;
    } else {
      const sample = parseSample(line);
      assert.ok(current !== undefined && belongs(current, sample.name), `outside of its family: ${line}`);
      const id = JSON.stringify([sample.name, ...Object.entries(sample.labels).flat().toSorted()]);
      assert.ok(!seen.has(id), `comes twice: ${line}`);
      seen.add(id);
      current.samples.push(sample);
    }
  }
  for (const family of families.values()) if (family.type === 'histogram') checkBuckets(family);
  return families;
}

function parseSample(line: string): Sample {
  const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? assert.fail(`no sample: ${line}`);
  const number = /^[+-]?Inf$/.test(value) ? Number(value.replace('Inf', 'Infinity')) : Number(value);
  assert.ok(/^nan$/i.test(value) || !Number.isNaN(number), `no value: ${line}`);
  const read: Record<string, string> = {};
  LABEL.lastIndex = 0;
  for (let at = 0; at < labels.length; at = LABEL.lastIndex) {
    const [, key = '', text = ''] = LABEL.exec(labels) ?? assert.fail(`no label: ${line}`);
    assert.ok(!(key in read), `a label comes twice: ${line}`);
    read[key] = text;
  }
  return { name, labels: read, value: number };
}

function belongs({ name, type }: Family, sample: string): boolean {
  if (type === 'histogram') return [`${name}_bucket`, `${name}_sum`, `${name}_count`].includes(sample);
  return sample === name || (type === 'summary' && [`${name}_sum`, `${name}_count`].includes(sample));
}

function checkBuckets({ name, samples }: Family): void {
  const groups = Map.groupBy(samples, ({ labels: { le: _le, ...rest } }) => JSON.stringify(rest));
  for (const group of groups.values()) {
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
    const counts = buckets.map(({ value }) => value);
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
      `${name} is not cumulative`,
    );
    assert.equal(buckets.at(-1)?.labels['le'], '+Inf');
    assert.equal(buckets.at(-1)?.value, group.find((sample) => sample.name === `${name}_count`)?.value);
  }
}
