import { html, NOTHING, type Html } from '../../core/html.ts';
import { formatDistance } from '../../core/units.ts';
import type { RowFilter } from '../../ledger/read/row-list.ts';
import { TONES } from '../../operate/standing.ts';
import { formatSpeed, formatUnfed } from '../../operate/summary.ts';
import type { BatchStatus } from '../page-data.ts';
import { waiting } from '../page.ts';
import { uncertainPath } from '../settle/form.ts';
import { videoBar } from './video-bar.ts';
import type { View } from '../view.ts';

const DAY_MS = 86_400_000;

/** The state of a batch: how far its videos are, and what keeps rows waiting. */
export function batchStanding(view: View, status: BatchStatus, current?: RowFilter): Html {
  const { batch, counts, stages, surplus, budget, gates } = status;
  const unfed = formatUnfed(status);
  return html`${videoBar(view, batch, stages, current)}
  ${
    counts.uncertain === 0
      ? NOTHING
      : html`<p class="gate">
          <a href="${view.href(uncertainPath(batch))}"
            >${view.say('Settle {rows}', { rows: view.count(counts.uncertain, 'uncertain row') })}</a
          >
        </p>`
  }
  ${unfed === undefined ? NOTHING : html`<p class="gate">${view.prose(unfed)}</p>`}
  ${budget === null ? NOTHING : html`<p class="soft">${view.say('budget: {told}', { told: view.sentence(budget.told) })}</p>`}
  ${
    surplus === 0
      ? NOTHING
      : html`<p class="gate">
          <strong>${view.say('paid twice:')}</strong>
          ${view.count(surplus, 'surplus task id')}
        </p>`
  }
  ${gates.map((gate) => waiting(view, gate))}`;
}

/** What the batch does now, in one or two words. */
export function standingBadge({ say }: View, { standing }: Pick<BatchStatus, 'standing'>): Html {
  return html`<span class="badge ${TONES[standing]}">${say(standing)}</span>`;
}

/** `50,000 rows · 49,988 task ids · 12.5 accepted/s · ETA 3m 20s, at 21:05 UTC` */
export function formatPace(
  view: View,
  status: Pick<BatchStatus, 'rows' | 'taskIds' | 'rate' | 'lately' | 'etaSeconds'>,
  now: number,
): string {
  const parts = [view.count(status.rows, 'row'), view.count(status.taskIds, 'task id')];
  if (status.rate > 0) parts.push(view.sentence(formatSpeed(status.lately)));
  if (status.etaSeconds !== null) {
    const ms = status.etaSeconds * 1000;
    parts.push(
      view.say('ETA {duration}, at {clock} UTC', {
        duration: formatDistance(ms),
        clock: formatClock(now + ms, now),
      }),
    );
  }
  return parts.join(' · ');
}

/** `21:05`; on another day, with its date. */
function formatClock(at: number, now: number): string {
  const text = new Date(at).toISOString().slice(0, 16).replace('T', ' ');
  return Math.floor(at / DAY_MS) === Math.floor(now / DAY_MS) ? text.slice(11) : text;
}
