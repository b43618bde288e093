import type { FastifyInstance, FastifyRequest } from 'fastify';
import { formatCount, formatDistance, formatUtc, plural } from '../core/units.ts';
import { html, type Html } from '../core/html.ts';
import { proseOf } from './prose.ts';
import type { Standing } from './standing.ts';
import { toChinese } from './words/sentences-zh.ts';
import { NOUNS, ZH, type Noun, type Text } from './words/zh.ts';

/** The languages of the board's own pages. */
export const LANGUAGES = { en: 'English', zh: '中文' } as const;
export type Language = keyof typeof LANGUAGES;

const LANGUAGE_COOKIE = 'vidbatch-language';
const YEAR_S = 365 * 24 * 3600;

declare module 'fastify' {
  interface FastifyRequest {
    /** The language of the reader, the paths, and what the reader may do. */
    readonly view: View;
  }
}

/** What every page needs of its reader: the language, the paths, and what may be done. */
export interface View {
  readonly language: Language;
  /** Where ledger and queue are stored. Undefined while no ledger is open. */
  readonly place: string | undefined;
  readonly readOnly: boolean;
  /** What each page says about the whole ledger; undefined: nothing is known. */
  readonly standing: Standing | undefined;
  /** What the act did that led to this page. */
  readonly notice: readonly string[];
  /** The path of this page with its query, below the public path. */
  readonly path: string;
  /** The page may be fetched again. The answer to a form may not: a GET of the same path shows another page. */
  readonly isLive: boolean;
  /** A path of the board, such as `/batches/x`, as a browser must ask for it. */
  readonly href: (path: string) => string;
  /** A text in the reader's language. `{name}` in it stands for the value of that name. */
  readonly say: (text: Text, values?: Record<string, string | number>) => string;
  /** The same with values that may be markup. */
  readonly tell: (text: Text, values: Record<string, string | number | Html>) => Html;
  /** A sentence that another room wrote in English, in the reader's language where the board knows it. */
  readonly sentence: (english: string) => string;
  /** The same as markup, with its commands and moments made plain. */
  readonly prose: (english: string) => Html;
  /** `1 row`, `1,234 rows` */
  readonly count: (n: number, noun: Noun) => string;
  /** `3m 20s ago`, `in 2h 05m` */
  readonly ago: (moment: Date, now: number) => string;
  /** A moment in UTC, and how long ago it was or how soon it is. */
  readonly time: (moment: Date | string, now?: number) => Html;
}

export interface ViewOptions {
  language: Language;
  place?: string | undefined;
  standing?: Standing | undefined;
  readOnly?: boolean;
  notice?: readonly string[];
  /** The path under which browsers see the board, without a slash at its end. */
  publicPath?: string;
  path?: string;
  isLive?: boolean;
}

export function createView({
  language,
  place,
  standing,
  readOnly = false,
  notice = [],
  publicPath = '',
  path = '/',
  isLive = true,
}: ViewOptions): View {
  const translate = (text: Text): string => (language === 'zh' ? ZH[text] : text);
  // `formatDistance` and `formatDuration` write durations in English.
  const valueOf = (name: string, value: string | number): string =>
    language === 'zh' && name === 'duration' ? toChinese(String(value)) : String(value);
  const say: View['say'] = (text, values = {}) =>
    piecesOf(translate(text))
      .map((piece) => (typeof piece === 'string' ? piece : valueOf(piece.name, values[piece.name] ?? '')))
      .join('');
  const sentence: View['sentence'] = (english) => (language === 'zh' ? toChinese(english) : english);
  const ago: View['ago'] = (moment, now) => {
    const duration = formatDistance(Math.abs(now - moment.getTime()));
    return moment.getTime() > now ? say('in {duration}', { duration }) : say('{duration} ago', { duration });
  };
  return {
    language,
    place,
    standing,
    readOnly,
    notice,
    path,
    isLive,
    say,
    ago,
    sentence,
    prose: (english) => proseOf(sentence(english)),
    href: (to) => `${publicPath}${to}`,
    tell: (text, values) =>
      html`${piecesOf(translate(text)).map((piece) => html`${typeof piece === 'string' ? piece : values[piece.name]}`)}`,
    count: (n, noun) =>
      language === 'zh' ? `${formatCount(n)} ${NOUNS[noun].zh}` : plural(n, noun, NOUNS[noun].many),
    time: (moment, now = Date.now()) => {
      const date = new Date(moment);
      const utc = formatUtc(date);
      return html`<time datetime="${date.toISOString()}" title="${utc}">${utc} · ${ago(date, now)}</time>`;
    },
  };
}

/** Gives each request its view, and serves `/language?to=…&next=…`, which remembers a language in a cookie. */
export function mountViews(
  server: FastifyInstance,
  {
    place,
    notice,
    ...options
  }: Pick<Required<ViewOptions>, 'readOnly' | 'publicPath'> & {
    place: () => string | undefined;
    /** What an act did, by the id in the query of the page that is shown after it. */
    notice: (id: unknown) => readonly string[];
  },
): void {
  server.decorateRequest('view', {
    getter(this: FastifyRequest) {
      const { done } = (this.query ?? {}) as Record<string, unknown>;
      return createView({
        ...options,
        language: languageOf(this),
        place: place(),
        standing: this.standing,
        notice: notice(done),
        path: this.url,
        isLive: this.method === 'GET',
      });
    },
  });
  server.get('/language', async (request, reply) => {
    const { to, next } = request.query as Record<string, unknown>;
    const language = typeof to === 'string' && isLanguage(to) ? to : 'en';
    const attributes = `Path=${options.publicPath}/; Max-Age=${YEAR_S}; SameSite=Lax`;
    return reply
      .header('set-cookie', `${LANGUAGE_COOKIE}=${language}; ${attributes}`)
      .redirect(request.view.href(ownPath(next)), 303);
  });
}

/** A path of this board; `/` instead of anything that could lead to another site. */
export function ownPath(next: unknown): string {
  return typeof next === 'string' && /^\/(?![/\\])[\x21-\x7e]*$/.test(next) ? next : '/';
}

/** `a {b} c` → `a `, the name b, ` c` */
function piecesOf(text: string): (string | { name: string })[] {
  return text
    .split(/(\{\w+\})/)
    .map((piece) => (/^\{\w+\}$/.test(piece) ? { name: piece.slice(1, -1) } : piece));
}

/** The language that a person chose, else the first of the browser's languages that the board speaks, else English. */
export function languageOf({ headers }: Pick<FastifyRequest, 'headers'>): Language {
  const chosen = new RegExp(`(?:^|;\\s*)${LANGUAGE_COOKIE}=(\\w+)`).exec(headers.cookie ?? '')?.[1];
  if (isLanguage(chosen)) return chosen;
  const wanted = (headers['accept-language'] ?? '')
    .split(',')
    .map((part) => {
      const [tag = '', ...parameters] = part.trim().split(';');
      const weight = parameters
        .map((one) => /^\s*q=([\d.]+)$/.exec(one)?.[1])
        .find((one) => one !== undefined);
      return { language: tag.split('-')[0]?.toLowerCase(), weight: Number(weight ?? 1) };
    })
    .filter(({ weight }) => weight > 0)
    .toSorted((a, b) => b.weight - a.weight)
    .find(({ language }) => isLanguage(language))?.language;
  return isLanguage(wanted) ? wanted : 'en';
}

function isLanguage(text: string | undefined): text is Language {
  return text !== undefined && Object.hasOwn(LANGUAGES, text);
}
