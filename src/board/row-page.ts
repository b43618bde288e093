import {
  deedOf,
  endOf,
  findingsOf,
  shorten,
  timeOf,
  formatExpiry,
  formatLaterStatus,
  formatPolls,
  formatStatus,
} from '../operate/life.ts';
import type { AttemptView } from '../ledger/read/row-history.ts';
import type { TaskView } from '../ledger/tasks/tasks.ts';
import { nextStepOf, ownTime } from '../operate/row-gate.ts';
import { isSettled } from '../core/task.ts';
import { html, NOTHING } from './html.ts';
import type { Html } from './html.ts';
import { batchPath, page } from './page.ts';
import { SHOWN_CHARACTERS } from './reading.ts';
import type { Life } from './reading.ts';

const REFRESH_S = 5;

/** `/rows/<number>`: one row's life, ending in the next command. */
export function rowPage(life: Life, place: string): string {
  const { row, source, attempts, earlier, trail, gates } = life;
  const key = shorten(row.key, 300);
  const until = ownTime(row);
  const failed = row.state === 'submitted' && row.providerStatus === 'failed';
  const body = html`<h1>${key}</h1>
    <section class="card">
      <p>
        <span class="dot ${failed ? 'task-failed' : row.state}"></span
        ><strong>${row.state}${failed ? ', failed at the provider' : ''}</strong
        >${row.taskId === null ? '' : ` · task ${row.taskId}`}
      </p>
      ${failure(life)}${provider(life)}
      ${gates.map(
        ({ gate, reason }) => html`<p class="gate"><strong>waiting, ${gate}:</strong> ${reason}</p>`,
      )}
      ${until === undefined ? NOTHING : html`<p class="gate"><strong>waiting</strong> ${until}</p>`}
      <p class="soft">
        <a href="${batchPath(row.batch)}">${row.batch}</a> · from ${source}:${row.line} · ${row.mode} ·
        ${row.model}${row.priority === 0 ? '' : ` · priority ${row.priority}`}
      </p>
      <p>Next: ${nextStepOf({ ...row, key }, { name: row.batch, source }, gates)}</p>
    </section>
    <h2 class="part">Attempts</h2>
    ${attempts.length === 0 ? html`<p class="soft">None.</p>` : attemptTable(attempts, earlier)}
    <h2 class="part">What people did</h2>
    ${trail.length === 0 ? html`<p class="soft">Nothing.</p>` : NOTHING}
    ${trail.map((one) => html`<p class="soft">${one.at.toISOString()} · ${deedOf(one)}</p>`)}
    <h2 class="part">${row.request === null ? 'As it was read' : 'Request'}</h2>
    <pre>${whole(row.request ?? row.input)}</pre>`;
  const rendering = row.state === 'submitted' && !isSettled(row.providerStatus);
  const moving = row.state === 'pending' || row.state === 'submitting' || rendering;
  return page(`${key} · vidbatch`, body, { place, ...(moving ? { refreshS: REFRESH_S } : {}) });
}

function failure({ row }: Life): Html {
  if (row.errorCode === null && row.error === null) return NOTHING;
  const parts = [row.errorCode, row.httpStatus === null ? null : `HTTP ${row.httpStatus}`, row.error].filter(
    (part) => part !== null,
  );
  return html`<p class="gate">${shorten(parts.join(' · '), 2000)}</p>`;
}

function provider({ row, tasks }: Life): Html {
  if (row.providerStatus === null) return NOTHING;
  if (tasks.length === 0) return html`<p>Provider: ${row.providerStatus}, not asked yet</p>`;
  return html`${tasks.map(told)}`;
}

function told(task: TaskView): Html {
  const which = task.surplus ? `, surplus task ${shorten(task.taskId, 300)}` : '';
  const later = formatLaterStatus(task);
  const expiry = formatExpiry(task);
  return html`<p>
      Provider${which}: ${shorten(formatStatus(task), 300)} ${result(task.resultUrl)}
      ${task.surplus && task.failReason !== null ? shorten(task.failReason, 300) : NOTHING}
    </p>
    ${later === undefined ? NOTHING : html`<p class="gate">${later}</p>`}
    <p class="soft">${expiry === undefined ? NOTHING : `${expiry} · `}${formatPolls(task)}</p>`;
}

/** The provider's word, so a link only when it can be nothing but an address. */
function result(url: string | null): Html {
  if (url === null) return NOTHING;
  return /^https?:\/\//i.test(url)
    ? html`<a href="${url}" rel="noreferrer noopener">${shorten(url, 300)}</a>`
    : html`${shorten(url, 300)}`;
}

function attemptTable(attempts: readonly AttemptView[], earlier: boolean): Html {
  return html`${earlier ? html`<p class="soft">Earlier ones are not shown.</p>` : NOTHING}
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th>no.</th>
            <th>at</th>
            <th>outcome</th>
            <th>what was heard</th>
            <th>worker</th>
          </tr>
        </thead>
        <tbody>
          ${attempts.map(
            (attempt) =>
              html`<tr>
                <td class="number" data-name="no.">${attempt.number}</td>
                <td data-name="at">${timeOf(attempt).toISOString()}</td>
                <td data-name="outcome">${endOf(attempt)}</td>
                <td class="text" data-name="heard">${shorten(findingsOf(attempt).join(' · '), 1000)}</td>
                <td class="code" data-name="worker">${attempt.worker}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
}

/** The ledger has cut it already: then it does not end where its JSON does. */
function whole(text: string): string {
  return text.length < SHOWN_CHARACTERS
    ? text
    : `${text}… (\`vidbatch explain --json\` shows the whole of it)`;
}
