import type { FastifyReply, FastifyRequest } from 'fastify';
import { messageOf, VidbatchError } from '../core/errors.ts';
import { html, page } from './page.ts';

export const QUEUES_PATH = '/queues';

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

/** Sends an error as a page, or as JSON under `/api`. An internal message goes to the log only. */
export function sendError(
  request: FastifyRequest,
  reply: FastifyReply,
  status: number,
  error: unknown,
): FastifyReply {
  const known = error instanceof VidbatchError ? error : undefined;
  const code = known?.code ?? (status === 500 ? 'UNEXPECTED' : 'BAD_REQUEST');
  const message =
    known?.message ?? (status === 500 ? 'the request failed; the log says why' : messageOf(error));
  reply.code(status);
  if (request.url.startsWith('/api/')) return reply.send({ error: { code, message } });
  const title = status === 404 ? 'Not found' : status < 500 ? 'Bad request' : 'Not available';
  const body = html`<h1>${title}</h1>
    <p>${message} [${code}]</p>
    <p><a href="/">All batches</a></p>`;
  return sendHtml(reply, page(`${title} · vidbatch`, body, status === 503 ? { refreshS: 2 } : {}));
}

export function sendHtml(reply: FastifyReply, text: string): FastifyReply {
  return reply.type('text/html; charset=utf-8').send(text);
}
