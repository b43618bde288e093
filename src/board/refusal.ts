import type { FastifyReply, FastifyRequest } from 'fastify';

export const QUEUES_PATH = '/queues';

/** Why something is not done. */
export interface Refusal {
  status: 401 | 403 | 405 | 409 | 415 | 429 | 503;
  code: string;
  message: string;
}

/** Answers with one line of JSON: in Bull Board's own shape below its path, so that its page shows the message. */
export function refuse(
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
