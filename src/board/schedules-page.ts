import { html, NOTHING, type Html } from '../core/html.ts';
import { STATES } from '../core/states.ts';
import { formatCount, formatDistance } from '../core/units.ts';
import type { SeenRun, SeenSchedule } from '../schedule/view.ts';
import { scheduleActions } from './acts/buttons.ts';
import { page } from './page.ts';
import { proseOf } from './prose.ts';
import { batchPath } from './url.ts';
import type { View } from './view.ts';

/** `/schedules`: each with its next ticks and the state of its last run. */
export function schedulesPage(view: View, schedules: readonly SeenSchedule[]): string {
  const { say } = view;
  const none = html`<p>${proseOf(say('No schedules. `vidbatch schedule add` makes one.'))}</p>`;
  const body = html`<h1>${say('Schedules')}</h1>
    ${schedules.length === 0 ? none : schedules.map((one) => scheduleCard(view, one))}`;
  return page(view, say('Schedules'), body);
}

function scheduleCard(view: View, schedule: SeenSchedule): Html {
  const { name, cron, zone, manifest, next, paused, last } = schedule;
  const { say } = view;
  return html`<section class="card">
    <h2>${name}</h2>
    <p class="soft">
      ${say('{cron} in {zone}', { cron, zone })} · ${say('from {source}', { source: manifest })}
    </p>
    ${
      paused
        ? html`<p class="gate"><strong>${say('paused:')}</strong> ${say('no ticks until it is resumed')}</p>`
        : NOTHING
    }
    ${paused ? NOTHING : ticks(view, next)}
    ${last === null ? html`<p class="soft">${say('no run yet')}</p>` : lastRun(view, last)}
    ${scheduleActions(view, schedule)}
  </section>`;
}

/** The next tick, and how soon it is; the others after it. */
function ticks({ say, tell }: View, [first, ...others]: readonly string[]): Html {
  if (first === undefined) return NOTHING;
  const duration = formatDistance(Math.max(0, Date.parse(first) - Date.now()));
  return html`<p>
    ${tell('Next run: {time}, {soon}', { time: html`<strong>${tickOf(first)}</strong>`, soon: say('in {duration}', { duration }) })}
    ${others.length === 0 ? NOTHING : html`<span class="soft">· ${tell('then {times}', { times: html`${others.map((tick, n) => html`${n === 0 ? '' : ', '}${tickOf(tick)}`)}` })}</span>`}
  </p>`;
}

/** `2026-12-01T23:00:00+08:00` → `2026-12-01 23:00`: in the zone of the schedule. */
function tickOf(tick: string): Html {
  return html`<time datetime="${tick}">${tick.slice(0, 16).replace('T', ' ')}</time>`;
}

function lastRun({ say, href, tell, sentence }: View, { batch, state, reason, code, counts }: SeenRun): Html {
  if (counts === null) {
    return html`<p class="gate ${state === 'failed' ? 'failed' : ''}">
      <strong>${say('last run {state}:', { state: sentence(state) })}</strong>
      ${sentence(reason ?? '')}${code === null ? NOTHING : html` [${code}]`}<br />
      <span class="soft">${batch}</span>
    </p>`;
  }
  const parts = STATES.filter((one) => counts[one] > 0).map(
    (one) => `${formatCount(counts[one])} ${say(one)}`,
  );
  const link = html`<a href="${href(batchPath(batch))}">${batch}</a>`;
  return html`<p>${tell('last run {batch}: {counts}', { batch: link, counts: parts.join(', ') })}</p>`;
}
