import type { FastifyInstance, FastifyRequest } from 'fastify';
import { html, NOTHING, type Html } from '../../core/html.ts';
import { STYLE } from '../assets.ts';
import { areSame, isSameText, type Credentials } from './credentials.ts';
import { readForms } from './forms.ts';
import { SIGN_IN_PATH, SIGN_IN_STYLE_PATH, SIGN_OUT_PATH } from './guard.ts';
import type { Login } from './login.ts';
import { documentOf } from '../page.ts';
import { proseOf } from '../prose.ts';
import { sendHtml } from '../responses.ts';
import type { Sessions } from './sessions.ts';
import { ownPath, type View } from '../view.ts';

/** A name, a password and a path. */
const LONGEST_FORM = 16_384;

interface SignInOptions {
  credentials: Credentials | { token: string };
  login: Login;
  sessions: Sessions;
}

/** `/sign-in` and `/sign-out`. The guard lets requests without a session pass to both. */
export function mountSignIn(server: FastifyInstance, { credentials, login, sessions }: SignInOptions): void {
  const byToken = 'token' in credentials;

  server.get(SIGN_IN_PATH, async (request, reply) => {
    const { next } = request.query as Record<string, unknown>;
    return sendHtml(reply, signInPage(request.view, { byToken, next: ownPath(next), problem: undefined }));
  });

  server.get(SIGN_IN_STYLE_PATH, async (_request, reply) =>
    reply.type('text/css; charset=utf-8').header('cache-control', 'max-age=300').send(STYLE),
  );

  // Only these routes read forms.
  void server.register((scope, _options, ready) => {
    readForms(scope);
    scope.post(SIGN_IN_PATH, { bodyLimit: LONGEST_FORM }, async (request, reply) => {
      const { next, ...given } = fieldsOf(request);
      const isRight =
        'token' in credentials ? isSameText(given.token, credentials.token) : areSame(given, credentials);
      const refusal = await login.judge(request, isRight);
      if (refusal === undefined) {
        sessions.start(request, reply);
        return reply.redirect(request.view.href(ownPath(next)), 303);
      }
      const problem = byToken && refusal.status === 401 ? 'the token is wrong' : refusal.message;
      if (refusal.status === 429) reply.header('retry-after', '16');
      reply.code(refusal.status);
      return sendHtml(reply, signInPage(request.view, { byToken, next: ownPath(next), problem }));
    });

    scope.post(SIGN_OUT_PATH, { bodyLimit: LONGEST_FORM }, async (request, reply) => {
      sessions.end(request, reply);
      return reply.redirect(request.view.href(SIGN_IN_PATH), 303);
    });
    ready();
  });
}

function fieldsOf({ body }: FastifyRequest): Record<'user' | 'password' | 'token' | 'next', string> {
  const fields = (body ?? {}) as Record<string, unknown>;
  const textOf = (name: string): string => {
    const value = fields[name];
    return typeof value === 'string' ? value : '';
  };
  return {
    user: textOf('user'),
    password: textOf('password'),
    token: textOf('token').trim(),
    next: textOf('next'),
  };
}

interface SignInForm {
  byToken: boolean;
  next: string;
  problem: string | undefined;
}

function signInPage(view: View, { byToken, next, problem }: SignInForm): string {
  const { say, href } = view;
  const body = html`<main class="sign-in">
    <h1>vidbatch</h1>
    ${problem === undefined ? NOTHING : html`<p class="gate" role="alert">${view.sentence(problem)}</p>`}
    <form class="card" action="${href(SIGN_IN_PATH)}" method="post">
      <input type="hidden" name="next" value="${next}" />
      ${byToken ? tokenField(view) : passwordFields(view)}
      <button>${say('Sign in')}</button>
    </form>
  </main>`;
  return documentOf(view, { title: say('Sign in'), style: SIGN_IN_STYLE_PATH, body });
}

function passwordFields({ say }: View): Html {
  return html`<label>${say('User')} <input name="user" autocomplete="username" required /></label>
    <label
      >${say('Password')} <input name="password" type="password" autocomplete="current-password" required
    /></label>`;
}

function tokenField({ say }: View): Html {
  return html`<p>
      ${proseOf(
        say(
          'This board is for the user who started it. Open the URL that `vidbatch board` printed: its token signs you in. Or paste the token here.',
        ),
      )}
    </p>
    <label>${say('Token')} <input name="token" type="password" autocomplete="off" required /></label>`;
}
