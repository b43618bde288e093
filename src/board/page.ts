import { html, NOTHING, type Html } from '../core/html.ts';
import { DOCTOR_PATH } from './url.ts';
import { LANGUAGES, type View } from './view.ts';
import type { Text } from './words/zh.ts';

/** The pages of the header, in order. */
const SECTIONS: readonly (readonly [path: string, name: Text])[] = [
  ['/', 'Batches'],
  ['/uncertain', 'Uncertain'],
  ['/failures', 'Failures'],
  ['/cost', 'Cost'],
  ['/workers', 'Workers'],
  ['/schedules', 'Schedules'],
  ['/queues', 'Queue internals'],
];

/** A whole page. `title`: already in the reader's language. `live`: it shows changes by itself. */
export function page(
  view: View,
  title: string,
  content: Html,
  { live = view.isLive }: { live?: boolean } = {},
): string {
  const { say, href } = view;
  const script = html`<script src="${href('/live.js')}" data-events="${href('/events')}" defer></script>`;
  const body = html`<a class="skip" href="#content">${say('Skip to the content')}</a>
    <header>
      <strong>vidbatch</strong>
      <nav class="sections" aria-label="${say('Sections')}">${sectionLinks(view)}</nav>
      ${attentionCount(view)}
      <form class="search" action="${href('/find')}" method="get" role="search">
        <input
          name="q"
          type="search"
          aria-label="${say('find a row by any text')}"
          placeholder="${say('find a row')}"
          required
        />
      </form>
      <div class="reader">
        ${live ? liveSwitch(view) : NOTHING}
        <span class="languages">${languageLinks(view)}</span>
        <form class="leave" action="${href('/sign-out')}" method="post">
          <button>${say('Sign out')}</button>
        </form>
      </div>
    </header>
    <main id="content" tabindex="-1">
      ${awayBanner(view)}${view.notice.map((line) => html`<p class="done" role="status">${line}</p>`)}${content}
    </main>
    <footer>
      ${view.place && html`${view.sentence(view.place)} · `}<a href="${href(DOCTOR_PATH)}"
        >${say('Checks')}</a
      >
    </footer>`;
  return documentOf(view, {
    title: `${title} · vidbatch`,
    style: '/style.css',
    script: live ? script : NOTHING,
    body,
  });
}

interface Document {
  title: string;
  /** The path of its style sheet. */
  style: string;
  script?: Html;
  body: Html;
}

export function documentOf(view: View, { title, style, script = NOTHING, body }: Document): string {
  return html`<!doctype html>
    <html lang="${view.language === 'zh' ? 'zh-CN' : 'en'}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="${view.href(style)}" />
        ${script}
      </head>
      <body>
        ${body}
      </body>
    </html>`.markup;
}

/** How many things need a person, as a link to the list. The script changes it together with the page. */
function attentionCount({ standing, say, href }: View): Html {
  const n = standing?.attention ?? 0;
  return html`<a id="attention" href="${href('/')}" ${n === 0 ? html`hidden` : NOTHING}
    >${say('Attention: {n}', { n })}</a
  >`;
}

function awayBanner({ standing, say, href, sentence, tell, time }: View): Html {
  if (standing?.away === undefined) return NOTHING;
  const { reason, since } = standing.away;
  return html`<p class="gate away" role="status">
    ${sentence(reason)}<br />${tell('Known since {time}.', { time: time(since) })}
    <a href="${href(DOCTOR_PATH)}">${say('Checks')}</a>
  </p>`;
}

/** The links of the header. The section of this page is marked. */
function sectionLinks({ say, href, path }: View): Html[] {
  const current = sectionOf(path);
  return SECTIONS.map(([section, name]) => {
    const mark = section === current ? html`aria-current="${section === path ? 'page' : 'true'}"` : NOTHING;
    return html`<a href="${href(section)}" ${mark}>${say(name)}</a>`;
  });
}

/** The section that a page belongs to; undefined: none, as with what was found. */
function sectionOf(path: string): string | undefined {
  const [plain = ''] = path.split('?');
  if (/^\/uncertain|\/uncertain\b|\/settle$/.test(plain)) return '/uncertain';
  const own = SECTIONS.find(([section]) => section !== '/' && plain.startsWith(section));
  if (own !== undefined) return own[0];
  if (plain.startsWith('/act/schedule-')) return '/schedules';
  return /^\/($|batches\/|rows\/|act\/)/.test(plain) ? '/' : undefined;
}

/** The script shows these buttons. Without the script they could do nothing, so they stay hidden. */
function liveSwitch({ say }: View): Html {
  return html`<button
      id="live"
      type="button"
      data-live="${say('Live · Pause')}"
      data-paused="${say('Paused · Resume')}"
      hidden
    ></button>
    <span
      id="not-live"
      role="status"
      data-text="${say('Not live since {time}; trying again', { time: '{time}' })}"
      hidden
    ></span>`;
}

/** One link for each other language. It comes back to this page. */
function languageLinks({ language, path, href }: View): Html[] {
  return Object.entries(LANGUAGES)
    .filter(([code]) => code !== language)
    .map(([code, name]) => {
      const query = new URLSearchParams({ to: code, next: path });
      return html`<a href="${href(`/language?${query.toString()}`)}" lang="${code}">${name}</a>`;
    });
}

/** Why rows wait. */
export function waiting(
  { say, sentence, prose }: View,
  { gate, reason }: { gate: string; reason: string },
): Html {
  return html`<p class="gate">
    <strong>${say('waiting, {gate}:', { gate: sentence(gate) })}</strong> ${prose(reason)}
  </p>`;
}
