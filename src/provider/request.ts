import { createHash } from 'node:crypto';
import { parseJson } from '../core/json.ts';
import { asObject, type Json } from './answer-body.ts';
import { modeOf } from './profile/mode.ts';
import type { Profile } from './profile/schema.ts';
import { fillTemplate } from './profile/template.ts';

export interface CreateRequest {
  path: string;
  headers: Record<string, string>;
  body: string;
}

/** The largest `queryUrl`. */
const LONGEST_URL = 2048;

/** What is sent to a provider, as a profile says. Every path is below the base URL, or at least at its origin. */
export class Requests {
  /** The header that carries the key, if there is one. */
  readonly key: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly #profile: Profile;
  readonly #base: URL;
  readonly #path: string;
  readonly #headers: Readonly<Record<string, string>>;
  /** Path and body are the same for every request. */
  readonly #plain: boolean;

  constructor(
    profile: Profile,
    {
      baseUrl,
      apiKey,
      headers,
    }: { baseUrl: string; apiKey: string | undefined; headers: Record<string, string> },
  ) {
    const { create, auth } = profile;
    this.#profile = profile;
    this.#base = new URL(baseUrl);
    this.#path = this.#base.pathname.replace(/\/$/, '');
    this.key =
      auth === undefined || apiKey === undefined ? {} : { [auth.header.toLowerCase()]: auth.prefix + apiKey };
    this.query = { ...headers, ...this.key };
    this.#headers = {
      ...headers,
      ...lowered(create.headers),
      'content-type': 'application/json',
      ...this.key,
    };
    this.#plain = create.body === undefined && new Set(Object.values(create.path)).size === 1;
  }

  /** The request for `body`, the exact JSON text of a row. Undefined: it is not an object. */
  create(body: string, idempotencyKey: string): CreateRequest | undefined {
    const { create, idempotency } = this.#profile;
    const headers =
      idempotency === undefined
        ? { ...this.#headers }
        : {
            ...this.#headers,
            [idempotency.header.toLowerCase()]: shortened(idempotencyKey, idempotency.longest),
          };
    if (this.#plain) return { path: this.#path + create.path.text, headers, body };
    const request = asObject(parseJson(body)?.value);
    if (request === undefined) return undefined;
    const mapped =
      create.body === undefined ? body : JSON.stringify(fillTemplate(create.body, fieldsOf(request)) ?? {});
    return { path: this.#path + create.path[modeOf(request)], headers, body: mapped };
  }

  /** A path of the profile, below the base URL. */
  below(path: string): string {
    return this.#path + path;
  }

  /** Where to ask for a task. A `queryUrl` that is not a path is ignored. */
  queryPath(taskId: string, queryUrl?: string): string {
    return queryUrl !== undefined && isPath(queryUrl)
      ? queryUrl
      : this.below(filled(this.#profile.task.path, taskId));
  }

  /** Path and query of a URL that an answer tells. Undefined: it is at another origin, so it is not used. */
  queryUrlOf(told: string): string | undefined {
    if (told === '' || told.length > LONGEST_URL) return undefined;
    const url = URL.parse(told, this.#base.href);
    if (url?.origin !== this.#base.origin || url.username !== '' || url.password !== '') return undefined;
    const path = url.pathname + url.search;
    return isPath(path) ? path : undefined;
  }

  /** Where the provider gives out the video of a task, if its profile says so. */
  contentUrl(taskId: string): string | undefined {
    const { content } = this.#profile.task;
    return content === undefined ? undefined : this.#base.origin + this.#path + filled(content, taskId);
  }

  /** Whether a URL is that of a task's video at the provider's own origin, where the key may go. */
  isContent(told: string): boolean {
    const { content } = this.#profile.task;
    const url = URL.parse(told);
    if (content === undefined || url?.origin !== this.#base.origin || url.username !== '') return false;
    const [before = '', after = ''] = (this.#path + content).split('{id}');
    const path = url.pathname + url.search;
    const id = path.slice(before.length, path.length - after.length);
    return path === before + id + after && /^[^/?#]+$/.test(id);
  }
}

/** Printable ASCII that begins with a slash, so it names no other host. */
function isPath(text: string): boolean {
  return text.length <= LONGEST_URL && /^\/[\x21-\x7e]*$/.test(text);
}

function filled(path: string, taskId: string): string {
  // encodeURIComponent throws on a lone surrogate.
  return path.replace('{id}', () => encodeURIComponent(taskId.toWellFormed()));
}

function lowered(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** A key that is too long becomes its hash, which is as distinct and as stable. */
function shortened(key: string, longest: number): string {
  return key.length <= longest ? key : createHash('sha256').update(key).digest('base64url').slice(0, longest);
}

/** The fields of a request, and the members of its `extra_body` as `extra_body.x`. */
function fieldsOf(request: Json): Json {
  const extra = Object.entries(asObject(request['extra_body']) ?? {});
  const all = [
    ...Object.entries(request),
    ...extra.map(([name, value]) => [`extra_body.${name}`, value] as const),
  ];
  // Without a prototype: a placeholder such as extra_body.constructor finds members alone.
  return Object.assign(Object.create(null) as Json, Object.fromEntries(all));
}
