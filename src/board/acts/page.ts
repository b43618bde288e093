import { html, NOTHING, type Html } from '../../core/html.ts';
import { hiddenFields } from '../access/forms.ts';
import { page } from '../page.ts';
import type { View } from '../view.ts';
import { actPath, type Plan } from './act.ts';

/** What the person saw on the confirmation page. */
export const SEEN_FIELD = 'seen';
/** What the person typed to agree. */
export const TYPED_FIELD = 'confirm';

/** The confirmation page of an act: what it concerns, and a form. `problem`: why the last try did nothing. */
export function actPage(
  view: View,
  { act, plan, token, problem }: { act: string; plan: Plan; token: Html; problem?: string },
): string {
  const { say, href } = view;
  const { title, body, button, fields, back, seen, typed, idle = false } = plan;
  const hidden = { ...fields, ...(seen === undefined ? {} : { [SEEN_FIELD]: seen }) };
  const content = html`<h1>${title}</h1>
    ${problem === undefined ? NOTHING : html`<p class="gate" role="alert">${problem}</p>`}
    <form class="card act" method="post" action="${href(actPath(act, {}))}">
      ${token} ${hiddenFields(hidden)} ${body}
      ${
        typed === undefined || idle
          ? NOTHING
          : html`<p>
              <label
                >${say('Type {word} to agree', { word: typed })}
                <input name="${TYPED_FIELD}" autocomplete="off" spellcheck="false" required />
              </label>
            </p>`
      }
      <p class="acts">
        ${idle ? NOTHING : html`<button class="act">${button}</button>`}
        <a class="act" href="${href(back)}">${say('Back')}</a>
      </p>
    </form>`;
  // What a person agrees to must not change while they decide.
  return page(view, title, content, { live: false });
}
