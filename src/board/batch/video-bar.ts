import { html, NOTHING, type Html } from '../../core/html.ts';
import { STATES } from '../../core/states.ts';
import { formatCount } from '../../core/units.ts';
import { STAGES, type Stage, type StageCounts } from '../../core/video-stage.ts';
import { TASK_FILTERS, type RowFilter } from '../../ledger/read/row-list.ts';
import { batchPath } from '../url.ts';
import type { View } from '../view.ts';

/** The name of a stage for people. */
const WORDS = {
  waiting: 'waiting',
  sent: 'sent',
  rendering: 'rendering',
  completed: 'completed',
  downloaded: 'downloaded',
  failed: 'failed at the provider',
  missing: 'not known to the provider',
  uncertain: 'uncertain',
  rejected: 'rejected',
  exhausted: 'exhausted',
  invalid: 'invalid',
  cancelled: 'cancelled',
  abandoned: 'abandoned',
} as const satisfies Record<Stage, string>;

export function stageName(view: View, stage: Stage): string {
  return view.say(WORDS[stage]);
}

/** The filter that shows exactly the rows in this stage. */
function filterOf(stage: Stage): Pick<RowFilter, 'state' | 'task'> {
  if (stage === 'waiting') return { state: 'pending' };
  if (stage === 'completed') return { task: 'not-downloaded' };
  const task = TASK_FILTERS.find((one) => one === stage);
  if (task !== undefined) return { task };
  const state = STATES.find((one) => one === stage);
  return state === undefined ? {} : { state };
}

/** How far the videos of a batch are: a bar, and the numbers as links to the rows. */
export function videoBar(
  view: View,
  batch: string,
  counts: StageCounts,
  current?: Pick<RowFilter, 'state' | 'task'>,
): Html {
  const stages = STAGES.filter((stage) => counts[stage] > 0);
  const rows = stages.reduce((sum, stage) => sum + counts[stage], 0);
  let x = 0;
  const pieces = stages.map((stage) => {
    const width = (100 * counts[stage]) / rows;
    const piece = html`<rect class="${stage}" x="${x}" y="0" width="${width}" height="4" />`;
    x += width;
    return piece;
  });
  const chips = stages.map((stage) => {
    const filter = filterOf(stage);
    const isCurrent = current !== undefined && filter.state === current.state && filter.task === current.task;
    // The chip of the current filter takes it away.
    const href = view.href(batchPath(batch, isCurrent ? {} : filter));
    return html`<li>
      <a href="${href}" ${isCurrent ? html` aria-current="true"` : NOTHING}
        ><span class="dot ${stage}"></span>${stageName(view, stage)} ${formatCount(counts[stage])}</a
      >
    </li>`;
  });
  return html`<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
      ${pieces}
    </svg>
    <ul class="chips">
      ${chips}
    </ul>`;
}
