import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { EXIT, messageOf, VidbatchError } from '../core/errors.ts';
import { shorten } from '../operate/life.ts';
import type { Logger } from '../core/log.ts';
import { batchPage } from './batch-page.ts';
import { batchesPage } from './batches-page.ts';
import { HEALTH_PATH } from './guard.ts';
import { html } from './html.ts';
import { rowPath } from './job.ts';
import { LIVE } from './live.ts';
import { page } from './page.ts';
import { readQuestion } from './question.ts';
import { rowPage } from './row-page.ts';
import { schedulesPage } from './schedules-page.ts';
import { STYLE } from './style.ts';
import type { Stage } from './stage.ts';

interface Named {
  Params: { name: string };
}

interface Numbered {
  Params: { id: string };
}

/** The board's own pages, and the same as JSON under `/api`. */
export function mountPages(server: FastifyInstance, stage: Stage, log: Logger): void {
  server.get('/', async (request, reply) => {
    const { reading, place } = stage.scene();
    const overview = await reading.overview(readQuestion(request.query).page);
    return markup(reply, batchesPage(overview, place, await stage.queueAway()));
  });

  server.get<Named>('/batches/:name', async (request, reply) => {
    const question = readQuestion(request.query);
    const only = question.key === undefined ? undefined : await onlyRow(stage, request, question.key);
    if (only !== undefined && question.after === undefined) return reply.redirect(rowPath(only), 303);
    const { status, rows } = await readBatch(stage, request);
    return markup(reply, batchPage(status, rows, question, stage.scene().place));
  });

  server.get<Numbered>('/rows/:id', async (request, reply) => {
    const { reading, place } = stage.scene();
    const id = readId(request.params.id);
    const life = id === undefined ? undefined : await reading.life(id);
    if (life === undefined) throw noSuchRow(`there is no row number ${shorten(request.params.id, 40)}`);
    return markup(reply, rowPage(life, place));
  });

  server.get('/schedules', async (_request, reply) => {
    const { reading, place } = stage.scene();
    return markup(reply, schedulesPage(await reading.schedules(), place));
  });

  server.get('/api/schedules', async (_request, reply) =>
    reply.send(await stage.scene().reading.schedules()),
  );

  server.get('/api/batches', async (request, reply) => {
    const { page: number } = readQuestion(request.query);
    return reply.send(await stage.scene().reading.overview(number));
  });

  server.get<Named>('/api/batches/:name', async (request, reply) => {
    const { status, rows } = await readBatch(stage, request);
    return reply.send({ ...status, ...rows });
  });

  server.get('/style.css', async (_request, reply) =>
    // It stays as it is while the program runs, and so does the script.
    reply.type('text/css; charset=utf-8').header('cache-control', 'max-age=300').send(STYLE),
  );

  server.get('/live.js', async (_request, reply) =>
    reply.type('text/javascript; charset=utf-8').header('cache-control', 'max-age=300').send(LIVE),
  );

  let well = true;
  // Everybody may ask this, as often as he likes: why it is not well is for the log, once.
  server.get(HEALTH_PATH, async (_request, reply) => {
    try {
      await stage.scene().reading.alive();
      well = true;
      return await reply.send({ ok: true });
    } catch (error) {
      if (well) log.warn({ event: 'board-health', error: messageOf(error) }, 'the ledger does not answer');
      well = false;
      return reply.code(503).send({ ok: false });
    }
  });
}

/** The one row with that key or task id; undefined: several keys begin so, and the batch page lists them. */
async function onlyRow(
  stage: Stage,
  request: FastifyRequest<Named>,
  key: string,
): Promise<number | undefined> {
  const { reading } = stage.scene();
  const found = await reading.batch(request.params.name);
  const rows = found === undefined ? [] : await reading.findRowIds(found.id, key);
  const name = `batch ${request.params.name}`;
  if (found === undefined) throw noSuchBatch(request.params.name);
  if (rows.length === 0)
    throw noSuchRow(`${name} has no row whose key begins with ${shorten(key, 200)}, nor such a task id`);
  return rows.length === 1 ? rows[0] : undefined;
}

function readId(text: string): number | undefined {
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined;
}

function noSuchRow(message: string): VidbatchError {
  return new VidbatchError('NO_SUCH_ROW', message);
}

function noSuchBatch(name: string): VidbatchError {
  return new VidbatchError('NO_SUCH_BATCH', `there is no batch named ${name}`);
}

async function readBatch(stage: Stage, request: FastifyRequest<Named>) {
  const asked = readQuestion(request.query);
  const { reading } = stage.scene();
  const found = await reading.batch(request.params.name);
  if (found === undefined) throw noSuchBatch(request.params.name);
  return { status: found.status, rows: await reading.rows(found.id, asked) };
}

/** Errors and unknown paths, as a page or as JSON, each with its code. */
export function mountErrors(server: FastifyInstance, log: Logger): void {
  server.setErrorHandler((error, request, reply) => {
    const status = statusOf(error);
    if (status >= 500) {
      log.warn({ event: 'board-error', url: request.url, error: messageOf(error) }, 'a page failed');
    }
    return complain(request, reply, status, error);
  });
  server.setNotFoundHandler((request, reply) =>
    complain(request, reply, 404, new VidbatchError('NO_SUCH_PAGE', 'there is no such page')),
  );
}

function statusOf(error: unknown): number {
  if (error instanceof VidbatchError) {
    if (error.code === 'NO_SUCH_BATCH' || error.code === 'NO_SUCH_ROW') return 404;
    return error.exitCode === EXIT.usage ? 400 : 503;
  }
  // Fastify's own refusals of a request, such as a URL that cannot be decoded.
  const status = (error as { statusCode?: unknown } | undefined)?.statusCode;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}

/** What went wrong inside is for the log; a page says it only when it was written for people. */
export function complain(
  request: FastifyRequest,
  reply: FastifyReply,
  status: number,
  error: unknown,
): FastifyReply {
  const known = error instanceof VidbatchError ? error : undefined;
  const code = known?.code ?? (status === 500 ? 'UNEXPECTED' : 'BAD_REQUEST');
  const message = known?.message ?? (status === 500 ? 'this failed; the log says why' : messageOf(error));
  reply.code(status);
  if (request.url.startsWith('/api/')) return reply.send({ error: { code, message } });
  const title = status === 404 ? 'Not found' : status < 500 ? 'Bad request' : 'Not available';
  const body = html`<h1>${title}</h1>
    <p>${message} [${code}]</p>
    <p><a href="/">All batches</a></p>`;
  return markup(reply, page(`${title} · vidbatch`, body, status === 503 ? { refreshS: 2 } : {}));
}

function markup(reply: FastifyReply, text: string): FastifyReply {
  return reply.type('text/html; charset=utf-8').send(text);
}
