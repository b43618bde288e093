import type { VidbatchError } from '../../core/errors.ts';
import { resolveLine } from '../../core/next-step.ts';
import { shorten } from '../../core/text.ts';
import { formatCount, formatDuration } from '../../core/units.ts';
import type { CandidateTask } from '../../ledger/audit/candidates.ts';
import type { Risk } from '../../ledger/read/uncertain-groups.ts';
import type { Unsettled } from '../../ledger/read/uncertain.ts';
import { formatCause, type EvidenceLine } from '../../operate/unsettled.ts';
import type { Verdict } from '../../results/audit/candidate.ts';
import type { Candidates } from '../../results/audit/row-candidates.ts';
import { html, NOTHING, type Html } from '../../core/html.ts';
import { page } from '../page.ts';
import { groupOfRow, groupPath, settlePath, type SettleForm } from './form.ts';
import { consequence, moneyText, reachedText } from './pages.ts';
import { batchPath, rowPath } from '../url.ts';
import type { View } from '../view.ts';
import type { Text } from '../words/zh.ts';

/** One uncertain row, with what a person needs to settle it. */
export interface SettleRow {
  row: Unsettled;
  evidence: readonly EvidenceLine[];
  risk: Risk;
  /** The moment of the evidence, by the database's clock. */
  asOf: string;
}

/** The answer to the form: the candidates of a pasted list, or why nothing was done. */
export interface Answered {
  form: SettleForm;
  found: Candidates | undefined;
  error: VidbatchError | undefined;
}

const LABELS: Record<EvidenceLine['name'], Text> = {
  from: 'manifest',
  when: 'call',
  deadline: 'deadline',
  reached: 'phase reached',
  answer: 'answer',
  headers: 'headers',
  id: 'request id',
  body: 'body, as far as it was kept',
  key: 'idempotency key',
  request: 'request that was sent',
};

/** `/rows/<number>/settle`: the evidence beside the list of the provider, and the three decisions. */
export function settlePage(view: View, settle: SettleRow, answered: Answered, token: Html): string {
  const { say, href } = view;
  const { row, risk } = settle;
  const key = shorten(row.key, 300);
  const title = say('Settle {key}', { key });
  const group = groupOfRow(row);
  const body = html`<h1>${title}</h1>
    <p>
      <a href="${href(batchPath(row.batch))}">${row.batch}</a> ·
      <a href="${href(groupPath(row.batch, group))}"
        >${view.sentence(formatCause({ ...group, code: group.errorCode }))}</a
      >
      ·
      <a href="${href(rowPath(row.submissionId))}">${say('the whole history')}</a>
    </p>
    ${answered.error === undefined ? NOTHING : errorNote(view, answered.error)}
    <div class="sides">
      <section class="card" aria-label="${say('Evidence')}">
        <h2>${say('Evidence')}</h2>
        <p><strong>${reachedText(view, group.phase)}</strong> · ${moneyText(view, risk)}</p>
        <dl class="evidence">
          ${settle.evidence.map(
            ({ name, text }) =>
              html`<dt>${say(LABELS[name])}</dt>
                <dd class="${isFact(name) ? 'fact' : ''}">${isFact(name) ? text : view.prose(text)}</dd>`,
          )}
        </dl>
      </section>
      ${view.readOnly ? readOnlyNote(view, row) : settleForm(view, settle, answered, token)}
    </div>`;
  // A person decides by the evidence that they saw, so the page does not change by itself.
  return page(view, title, body, { live: false });
}

/** Whether the line quotes the provider or the manifest. Such a line is not translated. */
function isFact(name: EvidenceLine['name']): boolean {
  return name !== 'when' && name !== 'deadline' && name !== 'reached';
}

/** The hints that name a flag are for the command line. This page has fields instead. */
function errorNote({ say, sentence }: View, { message, hint = '', code }: VidbatchError): Html {
  return html`<p class="gate" role="alert">
    <strong>${say('Nothing was changed.')}</strong> ${sentence(message)}
    ${/--\w/.test(hint) ? '' : sentence(hint)} [${code}]
  </p>`;
}

function readOnlyNote({ say }: View, row: Unsettled): Html {
  return html`<section class="card">
    <p>${say('This board is read-only. On the command line:')}</p>
    <pre>${resolveLine(row)} --task-id &lt;id&gt; --reason &lt;text&gt;</pre>
  </section>`;
}

/** One form, so that nothing that was typed is lost. Its first button, which Enter presses, changes nothing. */
function settleForm(view: View, settle: SettleRow, answered: Answered, token: Html): Html {
  const { say, href } = view;
  const { form, error } = answered;
  const isOpen = form.zone + form.columns !== '' || (error !== undefined && form.do === 'candidates');
  return html`<form
    class="settle"
    action="${href(settlePath(settle.row.submissionId))}"
    method="post"
    enctype="multipart/form-data"
  >
    ${token} <input type="hidden" name="asOf" value="${settle.asOf}" />
    <section class="card">
      <h2>${say("The provider's own list")}</h2>
      <label
        >${say('Paste the task list of the provider: CSV or JSON, with its header')}
        <textarea name="list" rows="5" spellcheck="false">${form.list}</textarea>
      </label>
      <label
        >${say('Or choose its file: CSV, JSON, JSONL or Excel, up to 16 MB')}
        <input type="file" name="file" accept=".csv,.tsv,.json,.jsonl,.ndjson,.xlsx,.xlsm" />
      </label>
      <details ${isOpen ? html`open` : NOTHING}>
        <summary>${say('Zone of times, names of columns')}</summary>
        <label
          >${say('Zone of times that name none, such as Asia/Shanghai')}
          <input name="zone" value="${form.zone}"
        /></label>
        <label
          >${say('Columns with other names, such as task_id=任务号')}
          <input name="columns" value="${form.columns}"
        /></label>
      </details>
      <p class="acts">
        <button class="act" name="do" value="candidates" formnovalidate>
          ${say('Find the task of this row')}
        </button>
      </p>
      ${answered.found === undefined ? NOTHING : candidatesPart(view, answered.found, form)}
    </section>
    ${decisions(view, settle, answered)}
  </form>`;
}

function decisions(view: View, { row }: SettleRow, { form, found }: Answered): Html {
  const { say, tell, time } = view;
  const { attempt } = row;
  const waits = attempt !== null && !attempt.deadlinePassed;
  const fits = found !== undefined && found.tasks.length > 0;
  return html`<section class="card">
    <h2>${say('Decide')}</h2>
    <label
      >${say('How do you know? It is kept with the row.')}
      <input name="reason" required maxlength="1000" value="${form.reason}"
    /></label>
    <h3>${say('It was accepted')}</h3>
    <p class="soft">${say('The task becomes the task of the row. Nothing is sent.')}</p>
    <label>${say('task id')} <input name="taskId" maxlength="512" value="${form.taskId}" /></label>
    <p class="acts"><button class="act" name="do" value="task-id">${say('It was accepted')}</button></p>
    <h3>${say('It was not accepted')}</h3>
    <p class="soft">${consequence(view, 'not-sent')}</p>
    ${fits ? html`<p class="gate">${say('The list has a task that fits this row: it may have been accepted.')}</p>` : NOTHING}
    ${
      waits
        ? html`<p class="gate">
            ${tell('An answer may still come until {time}. Before that, this is refused.', {
              time: time(attempt.deadline),
            })}
          </p>`
        : NOTHING
    }
    <p class="acts"><button class="act" name="do" value="not-sent">${say('It was not accepted')}</button></p>
    <h3>${say('Give up')}</h3>
    <p class="soft">${consequence(view, 'abandon')}</p>
    <p class="acts"><button class="act" name="do" value="abandon">${say('Give up')}</button></p>
  </section>`;
}

function candidatesPart(view: View, { verdict, tasks, listed, known }: Candidates, form: SettleForm): Html {
  const { say } = view;
  const sizes = say('The list has {listed} tasks. {known} of them belong to rows of this ledger.', {
    listed: formatCount(listed),
    known: formatCount(known),
  });
  return html`<div role="status">
      <p class="soft">${sizes}</p>
      <p class="gate">${say(VERDICTS[verdict.kind === 'unproven' ? verdict.why : verdict.kind])}</p>
    </div>
    ${
      tasks.length === 0
        ? NOTHING
        : html`<fieldset class="candidates">
            <legend>${say('Tasks that fit, the best first')}</legend>
            ${tasks.map((task) => candidate(view, task, form))}
            ${choice(form, '', html`${say('none of these: I type the task id below')}`)}
          </fieldset>`
    }`;
}

const VERDICTS: Record<
  Exclude<Verdict['kind'], 'unproven'> | Extract<Verdict, { kind: 'unproven' }>['why'],
  Text
> = {
  settled: 'Exactly one task fits this row, and it fits no other row.',
  ambiguous: 'Several tasks or several rows fit. Compare prompts and times.',
  none: 'No task of the list fits this row. A list may be late or lack a page, so this proves nothing.',
  clocks: 'One task fits, but nothing shows that the clock of the provider agrees with that of the ledger.',
  strangers: 'One task fits, but another client uses the account: the task may belong to that client.',
  twins: 'One task fits, but another client sends the same prompts: the task may belong to that client.',
};

function candidate(view: View, task: CandidateTask, form: SettleForm): Html {
  const { say } = view;
  const facts = [
    task.model,
    task.duration === null ? null : `${task.duration} s`,
    task.status,
    task.requestId,
  ]
    .filter((fact) => fact !== null)
    .join(' · ');
  return choice(
    form,
    task.task,
    html`<code>${task.task}</code> ${whyItFits(view, task)}
      <span class="soft"
        >${facts}${task.createdAt === null ? NOTHING : html` · ${view.time(task.createdAt)}`}</span
      >
      ${task.prompt === null ? NOTHING : html`<span class="soft">${say('{what}: {detail}', { what: say('prompt'), detail: shorten(task.prompt, 300) })}</span>`}`,
  );
}

function choice(form: SettleForm, value: string, text: Html): Html {
  return html`<label class="choice"
    ><input
      type="radio"
      name="candidate"
      value="${value}"
      ${form.candidate === value ? html`checked` : NOTHING}
    /><span>${text}</span></label
  >`;
}

const WHY = {
  request: 'The list names the request id of this call: that is proof.',
  prompt: 'The same prompt and model, created {time}.',
  time: 'The same model, created {time}. The list does not show its prompt.',
} as const satisfies Record<CandidateTask['evidence'], Text>;

function whyItFits({ say, count }: View, { evidence, createdAt, claimedAt, rivals }: CandidateTask): string {
  const ms = createdAt === null ? undefined : createdAt.getTime() - claimedAt.getTime();
  // Many lists give times in whole seconds.
  const time =
    ms === undefined
      ? say('at an unknown time')
      : Math.abs(ms) < 1000
        ? say('in the second of the claim')
        : ms < 0
          ? say('{duration} before the claim', { duration: formatDuration(-ms) })
          : say('{duration} after the claim', { duration: formatDuration(ms) });
  const others =
    rivals === 0 ? '' : ` ${say('{rows} may have made it, too.', { rows: count(rivals, 'other row') })}`;
  return `${say(WHY[evidence], { time })}${others}`;
}
