import { html, NOTHING, type Html } from '../../core/html.ts';
import type { Check, Status } from '../../operate/doctor/check.ts';
import { hiddenFields } from '../access/forms.ts';
import { page } from '../page.ts';
import { DOCTOR_PATH } from '../url.ts';
import type { View } from '../view.ts';
import type { Text } from '../words/zh.ts';
import type { Checkup } from './checkup.ts';

/** Where the queue is stored, which decides whether it may be restarted. */
export type QueuePlace = 'redis' | 'postgres' | 'embedded';

/** The field of the URL that runs the checks. */
export const RUN_FIELD = 'run';

/** The worst first. */
const GROUPS = [
  ['failed', 'Failed', 'rejected'],
  ['warning', 'Warnings', 'uncertain'],
  ['ok', 'All right', 'submitted'],
  ['skipped', 'Not checked', 'pending'],
] as const satisfies readonly (readonly [Status, Text, string])[];

const RESTART = {
  redis:
    'Yes, at any time, and also if it loses its data: each row is in the ledger, and workers fill the queue again within seconds. Meanwhile no new row is sent, and no row is lost or paid twice.',
  postgres:
    'Yes: the queue is in the same Postgres as the ledger, and workers wait until it is back. No row is lost or paid twice. It must keep its data, because it holds the ledger.',
  embedded:
    'There is no server to restart: ledger and queue are in the data folder. Workers may be stopped and started at any time. Keep the folder.',
} as const satisfies Record<QueuePlace, Text>;

/** `/doctor`: whether the queue may be restarted, and the checks of `vidbatch doctor`. `checkup`: undefined: not run. */
export function doctorPage(
  view: View,
  { queue, checkup, canRun }: { queue: QueuePlace; checkup: Checkup | undefined; canRun: boolean },
): string {
  const { say } = view;
  const body = html`<h1>${say('Checks')}</h1>
    <section class="card">
      <h2>${say('May the queue be restarted now?')}</h2>
      <p>${say(RESTART[queue])}</p>
      ${persistence(view, checkup)}
    </section>
    ${canRun ? runForm(view, checkup) : NOTHING}
    <p class="soft">
      ${view.prose(say('The checks only read, and cost nothing. They look from the machine of this board; `vidbatch doctor` does the same on the machine of a worker.'))}
    </p>
    ${checkup === undefined ? NOTHING : groups(view, checkup)}`;
  // A page that fetches itself would run the checks again and again.
  return page(view, say('Checks'), body, { live: false });
}

/** What Redis keeps over a restart, as far as the checks found it. */
function persistence(view: View, checkup: Checkup | undefined): Html {
  const found = checkup?.checks.find(({ check }) => check === 'redis-persistence');
  if (found === undefined) return NOTHING;
  return html`<p>
    ${view.say('What it keeps over a restart: {what}', { what: view.sentence(found.what) })}
  </p>`;
}

function runForm({ say, href }: View, checkup: Checkup | undefined): Html {
  return html`<form action="${href(DOCTOR_PATH)}" method="get">
    ${hiddenFields({ [RUN_FIELD]: '1' })}
    <p class="acts">
      <button class="act">${say(checkup === undefined ? 'Run the checks' : 'Run the checks again')}</button>
    </p>
  </form>`;
}

function groups(view: View, { checks, at }: Checkup): Html {
  const { say } = view;
  const shown = GROUPS.map(([status, title, colour]) => {
    const found = checks.filter((one) => one.status === status);
    if (found.length === 0) return NOTHING;
    return html`<section class="card">
      <h2>${say('{title}: {n}', { title: say(title), n: found.length })}</h2>
      <ul class="checks">
        ${found.map((one) => checkItem(view, one, colour))}
      </ul>
    </section>`;
  });
  return html`<p role="status">${view.tell('Checked {time}.', { time: view.time(at) })}</p>
    ${shown}`;
}

function checkItem({ prose }: View, { check, what, hint }: Check, colour: string): Html {
  return html`<li>
    <p><span class="dot ${colour}"></span><code>${check}</code> ${prose(what)}</p>
    ${hint === null ? NOTHING : html`<p class="soft">${prose(hint)}</p>`}
  </li>`;
}
