import type { SeenRun, SeenSchedule } from '../schedule/view.ts';
import { STATES } from '../core/submission.ts';
import { count } from '../core/format.ts';
import { html, NOTHING } from './html.ts';
import type { Html } from './html.ts';
import { batchPath, page } from './page.ts';

const REFRESH_S = 5;

/** `/schedules`: each with its next ticks, and how its last run stands. */
export function schedulesPage(schedules: readonly SeenSchedule[], place: string): string {
  const body =
    schedules.length === 0
      ? html`<p>No schedules. \`vidbatch schedule add\` makes one.</p>`
      : html`${schedules.map(card)}`;
  return page(
    'Schedules · vidbatch',
    html`<h1>Schedules</h1>
      ${body}`,
    { place, refreshS: REFRESH_S },
  );
}

function card({ name, cron, zone, manifest, next, paused, last }: SeenSchedule): Html {
  const ticks = next.map((tick) => html`<li>${tick}</li>`);
  return html`<section class="card">
    <h2>${name}</h2>
    <p class="soft">${cron} in ${zone} · from ${manifest}</p>
    ${paused ? html`<p class="gate"><strong>paused:</strong> no ticks until it is resumed</p>` : NOTHING}
    <ul class="chips">
      ${ticks}
    </ul>
    ${last === null ? html`<p class="soft">no run yet</p>` : lastRun(last)}
  </section>`;
}

function lastRun({ batch, state, reason, code, counts }: SeenRun): Html {
  if (counts === null) {
    return html`<p class="gate">
      <strong>last run ${state}:</strong> ${batch}: ${reason}${code === null ? NOTHING : html` [${code}]`}
    </p>`;
  }
  const parts = STATES.filter((one) => counts[one] > 0).map((one) => `${count(counts[one])} ${one}`);
  return html`<p>last run <a href="${batchPath(batch)}">${batch}</a>: ${parts.join(', ')}</p>`;
}
