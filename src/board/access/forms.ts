import type { FastifyInstance, FastifyRequest } from 'fastify';
import { usageError } from '../../core/errors.ts';
import { html, type Html } from '../../core/html.ts';
import { isSameText } from './credentials.ts';

/** The fields of a form that was sent. */
export type Fields = Readonly<Record<string, string>>;

const TOKEN = 'token';

/** The routes of this server read forms. The guard lets only those of the board's own pages pass. */
export function readForms(server: FastifyInstance): void {
  server.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(body.toString()))),
  );
}

/** The token that each form of a page carries. */
export function formToken({ formToken: token }: { formToken: string }): Html {
  return html`${hiddenFields({ [TOKEN]: token })}`;
}

export function hiddenFields(fields: Fields): Html[] {
  return Object.entries(fields).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`,
  );
}

/** @throws VidbatchError exit 2 for a form that no page of this session has. */
export function readForm(
  { formToken: token }: { formToken: string },
  { body }: Pick<FastifyRequest, 'body'>,
): Fields {
  const fields = (body ?? {}) as Record<string, unknown>;
  const given = fields[TOKEN];
  if (typeof given === 'string' && isSameText(given, token)) return fields as Fields;
  throw usageError(
    'FORM_EXPIRED',
    'this form was made before the board started again; nothing was done. Open its page again',
  );
}
