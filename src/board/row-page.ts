import { isSettled } from '../core/task-status.ts';
import { shorten } from '../core/text.ts';
import { formatRowLife } from '../operate/row-life.ts';
import type { RowLife, RowText } from '../operate/row-life.ts';
import { SHOWN_ATTEMPTS, SHOWN_CHARACTERS } from './page-data.ts';
import { html, NOTHING, page } from './page.ts';
import type { Html } from './page.ts';
import { batchPath } from './url.ts';

const REFRESH_S = 5;

/** `/rows/<number>`: the history of one row, and the next command for a person. */
export function rowPage(life: RowLife, place: string): string {
  const { row, batch, gates } = life;
  const key = shorten(row.key, 300);
  const text = formatRowLife({ ...life, row: { ...row, key } });
  const failed = row.state === 'submitted' && row.providerStatus === 'failed';
  const body = html`<h1>${key}</h1>
    <section class="card">
      <p>
        <span class="dot ${failed ? 'task-failed' : row.state}"></span
        ><strong>${row.state}${failed ? ', failed at the provider' : ''}</strong
        >${row.taskId === null ? '' : ` · task ${row.taskId}`}
      </p>
      ${text.error === undefined ? NOTHING : html`<p class="gate">${shorten(text.error, 2000)}</p>`}
      ${providerPart(life, text)}
      ${gates.map(
        ({ gate, reason }) => html`<p class="gate"><strong>waiting, ${gate}:</strong> ${reason}</p>`,
      )}
      ${
        text.waitsUntil === undefined
          ? NOTHING
          : html`<p class="gate"><strong>waiting</strong> ${text.waitsUntil}</p>`
      }
      <p class="soft">
        <a href="${batchPath(row.batch)}">${row.batch}</a> · from ${batch.source}:${row.line} · ${row.mode} ·
        ${row.model}${row.priority === 0 ? '' : ` · priority ${row.priority}`}
      </p>
      <p>Next: ${text.next}</p>
    </section>
    <h2 class="part">Attempts</h2>
    ${text.attempts.length === 0 ? html`<p class="soft">None.</p>` : attemptTable(text.attempts)}
    <h2 class="part">What people did</h2>
    ${text.trail.length === 0 ? html`<p class="soft">Nothing.</p>` : NOTHING}
    ${text.trail.slice(-SHOWN_ATTEMPTS).map((event) => html`<p class="soft">${event}</p>`)}
    <h2 class="part">${row.request === null ? 'Input as it was read' : 'Request'}</h2>
    <pre>${requestText(row.request ?? row.input)}</pre>`;
  const rendering = row.state === 'submitted' && !isSettled(row.providerStatus);
  const moving = row.state === 'pending' || row.state === 'submitting' || rendering;
  return page(`${key} · vidbatch`, body, { place, ...(moving ? { refreshS: REFRESH_S } : {}) });
}

function providerPart({ row }: RowLife, { tasks }: RowText): Html {
  if (row.providerStatus === null) return NOTHING;
  if (tasks.length === 0) return html`<p>Provider: ${row.providerStatus}, not asked yet</p>`;
  return html`${tasks.map(taskPart)}`;
}

function taskPart({
  other,
  status,
  url,
  expiry,
  failReason,
  laterStatus,
  polls,
}: RowText['tasks'][number]): Html {
  const which = other === undefined ? '' : `, ${shorten(other, 300)}`;
  return html`<p>
      Provider${which}: ${shorten(status, 300)} ${resultLink(url)}
      ${failReason === undefined ? NOTHING : shorten(failReason, 300)}
    </p>
    ${laterStatus === undefined ? NOTHING : html`<p class="gate">${laterStatus}</p>`}
    <p class="soft">${expiry === undefined ? NOTHING : `${expiry} · `}${polls}</p>`;
}

/** The provider chose this text, so it becomes a link only if it is a web address. */
function resultLink(url: string | null): Html {
  if (url === null) return NOTHING;
  return /^https?:\/\//i.test(url)
    ? html`<a href="${url}" rel="noreferrer noopener">${shorten(url, 300)}</a>`
    : html`${shorten(url, 300)}`;
}

function attemptTable(attempts: RowText['attempts']): Html {
  const hasEarlier = attempts.length > SHOWN_ATTEMPTS;
  return html`${hasEarlier ? html`<p class="soft">Earlier attempts are not shown.</p>` : NOTHING}
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th>no.</th>
            <th>at</th>
            <th>outcome</th>
            <th>findings</th>
            <th>worker</th>
          </tr>
        </thead>
        <tbody>
          ${attempts.slice(-SHOWN_ATTEMPTS).map(
            ({ number, at, end, findings, worker }) =>
              html`<tr>
                <td class="number" data-name="no.">${number}</td>
                <td data-name="at">${at}</td>
                <td data-name="outcome">${end}</td>
                <td class="text" data-name="findings">${shorten(findings, 1000)}</td>
                <td class="code" data-name="worker">${worker}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
}

/** The ledger returns at most `SHOWN_CHARACTERS` characters, so a longer text is not complete JSON. */
function requestText(text: string): string {
  return text.length < SHOWN_CHARACTERS
    ? text
    : `${text}… (\`vidbatch explain --json\` shows the whole text)`;
}
