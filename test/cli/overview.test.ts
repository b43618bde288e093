import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatOverview, type Status } from '../../src/cli/daily/overview.ts';
import { plain } from '../../src/cli/output/style.ts';
import { STATES, type Counts } from '../../src/core/states.ts';
import { noTaskCounts } from '../../src/core/task-status.ts';

const NOW = Date.parse('2026-11-30T12:00:00Z');

/** A batch of ten rows that was made so many minutes ago. */
function batch(
  name: string,
  minutes: number,
  counts: Partial<Counts>,
  more: Partial<Status> = {},
): { batch: { createdAt: Date }; status: Status } {
  const none = Object.fromEntries(STATES.map((state) => [state, 0])) as Counts;
  const status: Status = {
    batch: name,
    source: `/${name}.csv`,
    priority: 0,
    rows: 10,
    counts: { ...none, ...counts },
    taskIds: counts.submitted ?? 0,
    surplus: 0,
    remade: 0,
    gates: [],
    budget: null,
    rate: 0,
    etaSeconds: null,
    fed: true,
    forecast: null,
    videos: null,
    deadline: null,
    tasks: null,
    proof: 0,
    failReasons: [],
    profile: 'vidu-gateway',
    unread: [],
    limits: [],
    ...more,
  };
  return { batch: { createdAt: new Date(NOW - minutes * 60_000) }, status };
}

test('the overview begins with what needs a person, then batches that move, that wait, and that have ended, each from the newest', () => {
  const open = { ...noTaskCounts(), open: 10, queued: 10, nextPollSeconds: 5 };
  const shown = formatOverview(
    [
      batch('done-new', 1, { submitted: 10 }),
      batch('done-old', 90, { submitted: 10 }),
      batch('cancelled', 2, { cancelled: 10 }),
      batch('uncertain', 80, { submitted: 9, uncertain: 1 }),
      batch('paused', 3, { pending: 10 }, { gates: [{ gate: 'paused', reason: 'the batch is paused' }] }),
      batch('rendering', 70, { submitted: 10 }, { tasks: open }),
      batch('sending', 60, { pending: 10 }, { rate: 2 }),
    ],
    {
      attention: [{ kind: 'uncertain', what: '1 row is uncertain', command: 'vidbatch uncertain' }],
      costs: [],
      width: Infinity,
      now: NOW,
    },
  ).map(plain);
  assert.deepEqual(shown.slice(0, 4), [
    '1 thing needs attention:',
    '  1 row is uncertain',
    '    vidbatch uncertain',
    '',
  ]);
  const names = shown.slice(5, 12).map((line) => line.split(' ')[0]);
  assert.deepEqual(names, [
    'sending',
    'rendering',
    'paused',
    'uncertain',
    'done-new',
    'cancelled',
    'done-old',
  ]);
});
