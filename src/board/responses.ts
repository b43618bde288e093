import type { FastifyReply, FastifyRequest } from 'fastify';
import { messageOf, VidbatchError } from '../core/errors.ts';
import { html } from '../core/html.ts';
import { page } from './page.ts';
import { QUEUES_PATH } from './url.ts';
import type { View } from './view.ts';

/** Why the board does not do something. */
export interface Refusal {
  status: 401 | 403 | 405 | 409 | 415 | 429 | 503;
  code: string;
  message: string;
}

/** Sends one line of JSON. Below Bull Board's path it has Bull Board's shape, so that its page shows the message. */
export function sendRefusal(
  request: FastifyRequest,
  reply: FastifyReply,
  { status, code, message }: Refusal,
): FastifyReply {
  const body = request.url.startsWith(`${QUEUES_PATH}/`)
    ? { error: 'Nothing was done', message, code }
    : { error: { code, message } };
  return reply
    .code(status)
    .type('application/json; charset=utf-8')
    .send(`${JSON.stringify(body)}\n`);
}

/** Sends an error as a page, or as JSON under `/api` and for what was posted as JSON. An internal message goes to the log only. */
export function sendError(
  request: FastifyRequest,
  reply: FastifyReply,
  status: number,
  error: unknown,
  view: View = request.view,
): FastifyReply {
  const known = error instanceof VidbatchError ? error : undefined;
  const code = known?.code ?? (status === 500 ? 'UNEXPECTED' : 'BAD_REQUEST');
  const message =
    known?.message ?? (status === 500 ? 'the request failed; the log says why' : messageOf(error));
  reply.code(status);
  const isProgram = request.headers['content-type']?.startsWith('application/json') === true;
  if (isProgram || request.url.startsWith('/api/')) return reply.send({ error: { code, message } });
  const title = view.say(status === 404 ? 'Not found' : status < 500 ? 'Bad request' : 'Not available');
  const body = html`<h1>${title}</h1>
    <p>${view.sentence(message)} [${code}]</p>
    <p><a href="${view.href('/')}">${view.say('All batches')}</a></p>`;
  return sendHtml(reply, page(view, title, body, { live: status === 503 }));
}

export function sendHtml(reply: FastifyReply, text: string): FastifyReply {
  return reply.type('text/html; charset=utf-8').send(text);
}
