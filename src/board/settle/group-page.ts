import { html, NOTHING, type Html } from '../../core/html.ts';
import { formatMoney } from '../../core/money/money.ts';
import { shorten } from '../../core/text.ts';
import { formatCount } from '../../core/units.ts';
import type { SubmissionView } from '../../ledger/read/rows.ts';
import type { Risk, UncertainRow } from '../../ledger/read/uncertain-groups.ts';
import type { Preview } from '../../operate/resolve.ts';
import { formatCause } from '../../operate/unsettled.ts';
import { page } from '../page.ts';
import { groupFields, groupPath, settlePath, uncertainPath, type GroupChoice } from './form.ts';
import { moneyText, reachedText, waitNote } from './pages.ts';
import { hiddenFields } from '../access/forms.ts';
import { table, type Column } from '../table.ts';
import { rowPath } from '../url.ts';
import type { View } from '../view.ts';

/** One page of the rows of a group. */
export interface GroupRows {
  group: GroupChoice;
  rows: readonly UncertainRow[];
  all: number;
  /** From 1. */
  page: number;
  pages: number;
  start: number;
  risk: Risk;
  waiting: number;
  until: Date | null;
  /** The row that was settled just now. */
  settled: SubmissionView | undefined;
}

/** `/batches/<name>/uncertain/rows?phase=…`: the rows of a group, and the form that settles all of them. */
export function groupPage(view: View, batch: string, shown: GroupRows, form: Html): string {
  const { say, href, count } = view;
  const { group, rows, all, start } = shown;
  const title = say('{what}: {detail}', {
    what: count(all, 'uncertain row'),
    detail: view.sentence(formatCause({ ...group, code: group.errorCode })),
  });
  const links = pageLinks(shown).map(
    ([text, number]) => html`<a href="${href(groupPath(batch, group, { page: number }))}">${say(text)}</a> `,
  );
  const range = say('{from}-{to} of {all}', {
    from: formatCount(start + 1),
    to: formatCount(start + rows.length),
    all: formatCount(all),
  });
  const body = html`<h1>${title}</h1>
    <p><a href="${href(uncertainPath(batch))}">${say('Uncertain rows of {batch}', { batch })}</a></p>
    ${shown.settled === undefined ? NOTHING : settledRow(view, shown.settled)}
    <section class="card">
      <p>${reachedText(view, group.phase)}</p>
      <p class="soft">${moneyText(view, shown.risk)}</p>
      ${waitNote(view, shown)}
    </section>
    ${all === 0 ? html`<p>${say('No row is uncertain.')}</p>` : form}
    ${rows.length === 0 ? NOTHING : html`<nav class="pages" aria-label="${say('pages')}">${range} ${links}</nav>`}
    ${rows.length === 0 ? NOTHING : rowTable(view, rows)}`;
  return page(view, title, body);
}

function settledRow({ say, href }: View, { id, key, state, taskId }: SubmissionView): Html {
  const task = taskId === null ? '' : ` · ${say('task id')} ${taskId}`;
  return html`<p class="done" role="status">
    <a href="${href(rowPath(id))}">${shorten(key, 200)}</a>: ${say(state)}${task}
  </p>`;
}

function pageLinks({ page: number, pages }: GroupRows): ['first' | 'previous' | 'next' | 'last', number][] {
  return [
    ...(number > 1
      ? ([
          ['first', 1],
          ['previous', number - 1],
        ] as const)
      : []),
    ...(number < pages
      ? ([
          ['next', number + 1],
          ['last', pages],
        ] as const)
      : []),
  ].map(([text, to]) => [text, to]);
}

function rowTable(view: View, rows: readonly UncertainRow[]): Html {
  const columns: Column<UncertainRow>[] = [
    {
      title: 'key',
      of: ({ id, key }) => html`<a href="${view.href(settlePath(id))}">${shorten(key, 200)}</a>`,
      kind: 'code',
    },
    { title: 'line', of: ({ line }) => String(line), kind: 'number' },
    { title: 'claimed', of: ({ claimedAt }) => (claimedAt === null ? NOTHING : view.time(claimedAt)) },
    { title: 'request id', of: ({ requestId }) => requestId ?? '', kind: 'code' },
    { title: 'error', of: ({ message }) => message ?? '' },
    {
      title: 'at risk',
      of: ({ price }) => (price === null ? view.say('not known') : formatMoney(price)),
      kind: 'number',
    },
    { title: 'prompt', of: ({ prompt }) => prompt ?? '' },
  ];
  return table(view, columns, rows, { label: 'Uncertain rows' });
}

/** The form that settles all rows of a group. It asks before it does anything. `token`: the fields that a form must have. */
export function groupForm(view: View, batch: string, group: GroupChoice, token: Html): Html {
  const { say, href } = view;
  return html`<form class="card settle" action="${href(`${uncertainPath(batch)}/rows`)}" method="post">
    <h2>${say('Settle all rows of this group')}</h2>
    ${token} ${hiddenFields(groupFields(group))}
    <label>${say('How do you know?')} <input name="reason" required maxlength="1000" /></label>
    <p class="acts">
      <button class="act" name="do" value="not-sent">${say('None of them was accepted')}…</button>
      <button class="act" name="do" value="abandon">${say('Give them up')}…</button>
    </p>
    <p class="soft">${say('The next page says how many rows and how much money, and asks.')}</p>
  </form>`;
}

/** What a person agrees to. */
export interface Asked {
  batch: string;
  group: GroupChoice;
  decision: 'not-sent' | 'abandon';
  reason: string;
  preview: Preview;
  /** Of the rows that would be settled. */
  risk: Risk;
}

/** The question before all rows of a group are settled. */
export function confirmPage(view: View, asked: Asked, token: Html): string {
  const { say, href, tell, count, time } = view;
  const { batch, group, decision, reason, preview } = asked;
  const rows = count(preview.ready, 'row');
  const title =
    decision === 'not-sent' ? say('Call {rows} not accepted?', { rows }) : say('Give {rows} up?', { rows });
  const early =
    preview.early === 0 || preview.until === null
      ? NOTHING
      : html`<p class="gate">
          ${tell('{rows} more stay uncertain: an answer may still come until {time}.', {
            rows: count(preview.early, 'row'),
            time: time(preview.until),
          })}
        </p>`;
  const agreed = { asOf: preview.asOf, rows: String(preview.ready), early: String(preview.early) };
  const fields = { ...groupFields(group), do: decision, reason, ...agreed };
  const body = html`<h1>${title}</h1>
    <form class="card settle" action="${href(`${uncertainPath(batch)}/rows`)}" method="post">
      <p>${say('batch')} ${batch} · ${view.sentence(formatCause({ ...group, code: group.errorCode }))}</p>
      <p><strong>${rows}</strong> · <strong>${moneyText(view, asked.risk)}</strong></p>
      <p>${consequenceOfMany(view, decision, rows)}</p>
      ${early}
      <p>${say('{what}: {detail}', { what: say('reason'), detail: reason })}</p>
      ${token} ${hiddenFields(fields)}
      <p class="acts">
        <button class="act">
          ${decision === 'not-sent' ? say('Yes, send them again') : say('Yes, give them up')}
        </button>
        <a class="act" href="${href(groupPath(batch, group))}">${say('No, go back')}</a>
      </p>
    </form>`;
  return page(view, title, body);
}

function consequenceOfMany({ say }: View, decision: 'not-sent' | 'abandon', rows: string): string {
  return decision === 'not-sent'
    ? say(
        '{rows} are sent again. If the provider accepted them after all, they are paid twice: be sure that they are not in its list.',
        { rows },
      )
    : say(
        '{rows} are given up, paid or not: they are not sent again, and what they may have cost stays in the cost.',
        { rows },
      );
}
