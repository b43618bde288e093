import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { Client } from 'pg';
import { parse } from 'yaml';
import { exits } from '../cli.ts';
import { parseExposition, type Family } from '../operate/monitor/exposition.ts';
import { until } from '../until.ts';
import { openCliOnPostgres } from './cli-on-postgres.ts';
import { csvOf } from './manifest.ts';

interface Panel {
  id: number;
  title: string;
  type: string;
  gridPos: { x: number; y: number; w: number; h: number };
  datasource: { uid: string };
  targets: { expr: string; datasource: { uid: string } }[];
}

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string; action: string };
}

const file = (name: string): Promise<string> =>
  readFile(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

describe('docs/grafana.json and docs/alerts.yml', async () => {
  const cli = await openCliOnPostgres();
  after(cli.close);
  const dashboard = JSON.parse(await file('grafana.json')) as {
    schemaVersion: number;
    panels: Panel[];
    templating: { list: { name: string }[] };
  };
  const { groups } = parse(await file('alerts.yml')) as { groups: { rules: Rule[] }[] };
  const rules = groups.flatMap((group) => group.rules);
  let families: Map<string, Family>;

  before(async () => {
    const prices = await cli.write(
      'prices.json',
      '{"viduq3p-720p": {"perSecond": "0.10", "currency": "CNY"}}',
    );
    await cli.simulator.addRule({ fault: 'reset-after-body:created', match: { prompt: 'seen-2' } });
    exits(await cli.run(['run', await cli.write('seen.csv', csvOf(5, 'seen')), '--prices', prices]), 5);
    // What only trouble shows.
    const client = new Client({ connectionString: cli.databaseUrl });
    await client.connect();
    await client.query(
      `with away as (insert into vidbatch.provider (origin, state) values ('https://away.example', 'halted') returning origin)
       insert into vidbatch.halt (origin, code, reason) select origin, 'no_balance', 'no balance' from away`,
    );
    await client.query(
      `insert into vidbatch.batch (name, source, key_scheme, format, profile_id, state, stop_code, stop_reason)
       select 'ill', '/ill.csv', 'id', 'csv', profile_id, 'stopped', 'CANARY', 'the canary failed' from vidbatch.batch`,
    );
    await client.end();
    const flags = ['--http', '127.0.0.1:0', '--rate', '100/s', '--max-in-flight', '50'];
    const worker = cli.start(['work', ...flags]);
    const line = await worker.says(/"event":"listening"/);
    const { url } = JSON.parse(line) as { url: string };
    await until(async () => {
      families = parseExposition(await (await fetch(`${url}/metrics`)).text());
      return [
        'vidbatch_rate_limit_per_second',
        'vidbatch_in_flight_rows',
        'vidbatch_spent',
        'vidbatch_queue_jobs',
        'vidbatch_dying_videos',
      ].every((name) => families.has(name));
    });
    worker.kill('SIGTERM');
    exits(await worker.ended, 0);
  });

  /** The samples of a real worker that an expression names, by name and label. */
  function check(expr: string): void {
    const named = [...expr.matchAll(/\b(vidbatch_\w+)(?:\{([^}]*)\})?/g)];
    assert.ok(named.length > 0, `${expr} names no metric`);
    for (const [, name = '', labels = ''] of named) {
      const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''));
      const samples = family?.samples.filter((sample) => sample.name === name) ?? [];
      assert.ok(samples.length > 0, `no worker prints ${name}: ${expr}`);
      for (const [, label = '', sign = '', value = ''] of labels.matchAll(/(\w+)(=~?)"([^"]*)"/g)) {
        if (label === 'job') continue;
        for (const one of sign === '=' ? [value] : value.split('|'))
          assert.ok(
            samples.some((sample) => sample.labels[label] === one),
            `no worker prints ${name}{${label}="${one}"}`,
          );
      }
      const [, by] = new RegExp(`by \\(([^)]*)\\) \\((?:rate\\()?${name}\\b`).exec(expr) ?? [];
      for (const label of by?.split(',').map((one) => one.trim()) ?? [])
        assert.ok(
          samples.some((sample) => label in sample.labels),
          `${name} has no label ${label}`,
        );
    }
  }

  it('name only metrics and labels that a worker prints', () => {
    for (const { targets } of dashboard.panels) for (const { expr } of targets) check(expr);
    for (const { expr } of rules) check(expr);
  });

  it('show rows, money, limits and trouble in panels that do not overlap, for any Prometheus', () => {
    assert.equal(dashboard.schemaVersion, 39);
    const { panels } = dashboard;
    assert.deepEqual(
      dashboard.templating.list.map(({ name }) => name),
      ['datasource', 'job'],
    );
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    const places = new Set<string>();
    for (const { title, gridPos, datasource, targets } of panels) {
      const { x, y, w, h } = gridPos;
      assert.ok(x >= 0 && x + w <= 24, title);
      for (let column = x; column < x + w; column += 1)
        for (let row = y; row < y + h; row += 1) {
          assert.ok(!places.has(`${column} ${row}`), `${title} overlaps another panel`);
          places.add(`${column} ${row}`);
        }
      for (const { uid } of [datasource, ...targets.map((target) => target.datasource)])
        assert.equal(uid, '${datasource}', title);
    }
  });

  it('warn of each trouble once, with what to do', () => {
    assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
    for (const { alert, labels, annotations } of rules) {
      assert.match(labels.severity, /^(critical|warning|info)$/, alert);
      assert.ok(annotations.summary.length > 10 && annotations.action.length > 10, alert);
    }
    const all = rules.map(({ expr }) => expr).join('\n');
    for (const name of [
      'workers',
      'open_halts',
      'surplus_task_ids',
      'uncertain_rows',
      'up',
      'failing_schedules',
      'dying_videos',
      'journal_full',
    ])
      assert.match(all, new RegExp(`vidbatch_${name}\\b`));
  });
});
