import { html, NOTHING, type Html } from '../../core/html.ts';
import { formatMoney } from '../../core/money/money.ts';
import { remakeLine } from '../../core/next-step.ts';
import { expiryOf } from '../../core/task-status.ts';
import { shorten } from '../../core/text.ts';
import { amountOf } from '../../ledger/money/budget.ts';
import type { PlacedVideo } from '../../ledger/tasks/downloads.ts';
import { formatRowLife, type RowLife, type RowText } from '../../operate/row-life.ts';
import { SHOWN_ATTEMPTS, SHOWN_CHARACTERS, type SeenRow } from '../page-data.ts';
import { page, waiting } from '../page.ts';
import { currentStage, pathOf, stagesOf, type PathStep } from './row-path.ts';
import { settlePath } from '../settle/form.ts';
import { batchPath, rowPath } from '../url.ts';
import { stageName } from './video-bar.ts';
import { lifeOf, player, resultLink } from './videos-page.ts';
import type { View } from '../view.ts';

/** `/rows/<number>`: one row, its video, everything that happened to it, and the next command for a person. */
export function rowPage(view: View, seen: SeenRow, now: number): string {
  const { life, videos, here, previous, next } = seen;
  const { row, batch, gates } = life;
  const key = shorten(row.key, 300);
  const text = formatRowLife({ ...life, row: { ...row, key } });
  const stage = currentStage(life, videos);
  const body = html`<nav class="pages" aria-label="${view.say('rows of the batch')}">
      <a href="${view.href(batchPath(row.batch))}">${row.batch}</a>
      ${previous === null ? NOTHING : html`<a href="${view.href(rowPath(previous))}">${view.say('previous row')}</a>`}
      ${next === null ? NOTHING : html`<a href="${view.href(rowPath(next))}">${view.say('next row')}</a>`}
    </nav>
    <h1>${key}</h1>
    <section class="card">
      ${stage === 'failed' ? failedTask(view, life) : NOTHING} ${stageStrip(view, life, videos)}
      ${promptOf(row.request)}
      ${row.taskId === null ? NOTHING : html`<p>${view.say('task id')} <code>${row.taskId}</code></p>`}
      ${text.error === undefined || stage === 'failed' ? NOTHING : html`<p class="gate">${shorten(text.error, 2000)}</p>`}
      ${gates.map((gate) => waiting(view, gate))}
      ${
        text.waitsUntil === undefined
          ? NOTHING
          : html`<p class="gate"><strong>${view.say('waiting')}</strong> ${view.prose(text.waitsUntil)}</p>`
      }
      <p class="soft">
        ${view.say('from {source}', { source: `${batch.source}:${row.line}` })} · ${row.mode} ·
        ${row.model}${row.priority === 0 ? NOTHING : html` · ${view.say('priority {n}', { n: row.priority })}`}
      </p>
      ${
        row.state === 'uncertain'
          ? html`<p class="acts">
              <a class="act" href="${view.href(settlePath(row.id))}">${view.say('Settle this row')}</a>
            </p>`
          : NOTHING
      }
      ${stage === 'failed' || stage === 'downloaded' ? NOTHING : html`<p>${view.say('Next:')} ${view.prose(text.next)}</p>`}
    </section>
    ${videoPart(view, life, { stage, here, now })}
    <h2 class="part">${view.say('What happened')}</h2>
    ${pathPart(view, pathOf(view, life, videos), life, now)}
    ${row.providerStatus === null ? NOTHING : tasksPart(view, life, text)}
    <h2 class="part">${row.request === null ? view.say('Input as it was read') : view.say('Request')}</h2>
    <pre>${requestText(view, row.request ?? row.input)}</pre>`;
  return page(view, key, body);
}

/** What the video should show, before anything else about its row. */
function promptOf(request: string | null): Html {
  const prompt = request === null ? undefined : parsed(request)?.['prompt'];
  return typeof prompt === 'string' ? html`<p class="prompt">${shorten(prompt, 1000)}</p>` : NOTHING;
}

/** The fields of a request. Undefined: the text is not complete. */
function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** A row with a failed task was submitted, so its state alone looks like success. */
function failedTask(view: View, { row }: RowLife): Html {
  const reason = shorten(row.error ?? view.say('it gave no reason'), 500);
  const price =
    row.price === null
      ? view.say('To make it again, and pay for it again (the price is not known):')
      : view.say('To make it again, and pay at most {price} again:', {
          price: formatMoney({ amount: amountOf(row.price.amount), currency: row.price.currency }),
        });
  return html`<p class="gate failed">
    <strong
      >${view.say('The provider failed to make this video: {reason}.', { reason: reason.replace(/\.$/, '') })}</strong
    >
    ${price} <code>${remakeLine(row.batch, row.key)}</code>
  </p>`;
}

/** How far the video is: the stages that are behind, the present one, and those ahead. */
function stageStrip(view: View, life: RowLife, videos: readonly PlacedVideo[]): Html {
  const current = currentStage(life, videos);
  const stages = stagesOf(current, life);
  const at = stages.indexOf(current);
  return html`<ol class="stages" aria-label="${view.say('how far the video is')}">
    ${stages.map(
      (stage, n) =>
        html`<li class="${n <= at ? 'reached' : 'ahead'}" ${n === at ? html` aria-current="step"` : NOTHING}>
          <span class="dot ${n <= at ? stage : ''}"></span>${stageName(view, stage)}
        </li>`,
    )}
  </ol>`;
}

function videoPart(
  view: View,
  { row, tasks }: RowLife,
  { stage, here, now }: { stage: string; here: boolean; now: number },
): Html {
  if (here)
    return html`<section class="video" aria-label="${view.say('video')}">${player(view, row)}</section>`;
  if (row.resultUrl === null) return NOTHING;
  const task = tasks.find(({ taskId }) => taskId === row.taskId);
  const expiry = task === undefined ? undefined : expiryOf(task);
  return html`<p>
    ${stage === 'downloaded' ? view.say('The file was downloaded on another machine, or moved.') : view.say('The video is not downloaded.')}
    ${resultLink(view, row.resultUrl)}${expiry === undefined ? NOTHING : html`; ${lifeOf(view, expiry, now)}`}
  </p>`;
}

function pathPart(view: View, steps: readonly PathStep[], { attempts }: RowLife, now: number): Html {
  if (steps.length === 0) return html`<p class="soft">${view.say('Nothing yet.')}</p>`;
  const earlier =
    attempts.length > SHOWN_ATTEMPTS
      ? html`<p class="soft">${view.say('Earlier attempts are not shown.')}</p>`
      : NOTHING;
  return html`${earlier}
    <ol class="path">
      ${steps.map(
        ({ at, stage, what, evidence }) =>
          html`<li>
            <span class="dot ${stage ?? 'note'}"></span>
            <div>
              <strong>${what}</strong>
              ${view.time(at, now)}
              ${evidence === '' ? NOTHING : html`<p class="evidence">${shorten(evidence, 1000)}</p>`}
            </div>
          </li>`,
      )}
    </ol>`;
}

/** What the provider says about each task of the row. */
function tasksPart(view: View, { row }: RowLife, { tasks }: RowText): Html {
  const told =
    tasks.length === 0
      ? html`<p>
          ${view.say('{status}, not asked yet', { status: view.sentence(row.providerStatus ?? '') })}
        </p>`
      : tasks.map((task) => taskPart(view, task));
  return html`<h2 class="part">${view.say('What the provider says')}</h2>
    ${told}`;
}

function taskPart(view: View, task: RowText['tasks'][number]): Html {
  const { other, status, url, failReason, laterStatus, polls } = task;
  const told = view.sentence(shorten(status, 300));
  return html`<p>
      ${other === undefined ? told : view.say('{what}: {detail}', { what: view.sentence(shorten(other, 300)), detail: told })}
      ${url === null ? NOTHING : resultLink(view, url)}
      ${failReason === undefined ? NOTHING : shorten(failReason, 300)}
    </p>
    ${laterStatus === undefined ? NOTHING : html`<p class="gate">${view.prose(laterStatus)}</p>`}
    <p class="soft">${view.prose(polls)}</p>`;
}

/** A field a line. The ledger returns at most `SHOWN_CHARACTERS` characters, so a longer text is not complete JSON. */
function requestText(view: View, text: string): string {
  if (text.length >= SHOWN_CHARACTERS)
    return `${text}… (${view.say('`vidbatch explain --json` shows the whole text')})`;
  const fields = parsed(text);
  return fields === undefined ? text : JSON.stringify(fields, null, 2);
}
