import { html, NOTHING, type Html } from '../../core/html.ts';
import { RETRYABLE_STATES } from '../../core/states.ts';
import type { FailureGroup } from '../../ledger/read/failures.ts';
import type { Attention } from '../../operate/attention.ts';
import type { SeenSchedule } from '../../schedule/view.ts';
import type { BatchStatus } from '../page-data.ts';
import type { View } from '../view.ts';
import { actLink, resumeLink } from './act.ts';

/** The acts that a batch allows now, as links to their confirmation pages. Nothing on a read-only board. */
export function batchActions(
  view: View,
  status: Pick<BatchStatus, 'batch' | 'state' | 'counts' | 'gates' | 'failedTasks'>,
): Html {
  if (view.readOnly) return NOTHING;
  const { batch, state, counts, gates, failedTasks } = status;
  const open = counts.pending + counts.submitting;
  const retryable = RETRYABLE_STATES.reduce((sum, one) => sum + counts[one], 0);
  const links: Html[] = [];
  if (state === 'paused' || state === 'stopped') links.push(actLink(view, 'resume', { batch }, 'Resume'));
  else if (state === 'active' && open > 0) links.push(actLink(view, 'pause', { batch }, 'Pause'));
  const isSpent = gates.some(({ gate }) => gate === 'budget');
  if (isSpent) links.push(actLink(view, 'budget', { batch }, 'Raise the budget'));
  for (const { model, scope } of gates) {
    if (model === undefined) continue;
    links.push(resumeLink(view, scope === 'batch' ? { batch, model } : { model }, model));
  }
  if (counts.pending > 0 && state !== 'cancelled') {
    links.push(
      actLink(view, 'cancel', { batch }, 'Cancel'),
      actLink(view, 'priority', { batch }, 'Priority'),
      ...(isSpent ? [] : [actLink(view, 'budget', { batch }, 'Budget')]),
    );
  }
  if (retryable > 0) links.push(actLink(view, 'retry', { batch }, 'Retry'));
  if (failedTasks > 0) links.push(actLink(view, 'retry-failed-tasks', { batch }, 'Make failed tasks again'));
  return links.length === 0 ? NOTHING : toolbar(view, links);
}

/** What stops or continues all batches. */
export function ledgerActions(view: View, pauses: { everything: boolean; models: readonly string[] }): Html {
  if (view.readOnly) return NOTHING;
  const models = pauses.models.map((model) => resumeLink(view, { model }, model));
  const all = pauses.everything
    ? actLink(view, 'resume', {}, 'Resume everything')
    : actLink(view, 'pause', {}, 'Pause everything');
  return toolbar(view, [all, ...models]);
}

/** The button beside the command of something that needs a person, where the console can do it. */
export function attentionAction(view: View, { kind, batch, schedule }: Attention): Html {
  if (view.readOnly) return NOTHING;
  if (kind === 'halted') return actLink(view, 'resume', {}, 'Resume everything');
  if (schedule !== undefined) return actLink(view, 'schedule-trigger', { schedule }, 'Run it now');
  if (batch === undefined) return NOTHING;
  if (kind === 'stopped') return actLink(view, 'resume', { batch }, 'Resume');
  if (kind === 'budget-used') return actLink(view, 'budget', { batch }, 'Raise the budget');
  if (kind === 'tasks-failed')
    return actLink(view, 'retry-failed-tasks', { batch }, 'Make failed tasks again');
  return NOTHING;
}

/** The button that sends failed rows again, or makes failed tasks again, where the console can do it. */
export function failureAction(
  view: View,
  { kind, batch, code }: Pick<FailureGroup, 'kind' | 'batch' | 'code'>,
): Html {
  if (view.readOnly) return NOTHING;
  if (kind === 'task') return actLink(view, 'retry-failed-tasks', { batch }, 'Make failed tasks again');
  if (!RETRYABLE_STATES.some((state) => state === kind)) return NOTHING;
  return actLink(view, 'retry', { batch, state: kind, ...(code === null ? {} : { code }) }, 'Retry');
}

export function scheduleActions(view: View, { name, paused }: SeenSchedule): Html {
  if (view.readOnly) return NOTHING;
  const asked = { schedule: name };
  return toolbar(view, [
    paused
      ? actLink(view, 'schedule-resume', asked, 'Resume')
      : actLink(view, 'schedule-pause', asked, 'Pause'),
    actLink(view, 'schedule-trigger', asked, 'Run it now'),
  ]);
}

function toolbar({ say }: View, links: readonly Html[]): Html {
  return html`<nav class="acts" aria-label="${say('Actions')}">${links}</nav>`;
}
