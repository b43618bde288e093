import type { FastifyInstance, FastifyRequest } from 'fastify';
import { EXIT, messageOf, VidbatchError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { shorten } from '../core/text.ts';
import type { AppContext } from './app-context.ts';
import { LIVE_SCRIPT, STYLE } from './assets.ts';
import { HEALTH_PATH } from './guard.ts';
import type { BatchStatus } from './page-data.ts';
import { costPage, failuresPage, findPage, workersPage } from './operating-pages.ts';
import { batchesPage, batchPage, schedulesPage } from './pages.ts';
import { sendError, sendHtml } from './responses.ts';
import { rowPage } from './row-page.ts';
import { parseText, parseQuery, rowPath } from './url.ts';

interface Named {
  Params: { name: string };
}

interface Numbered {
  Params: { id: string };
}

/** The board's own pages, and the same data as JSON under `/api`. */
export function mountPages(server: FastifyInstance, context: AppContext, log: Logger): void {
  server.get('/', async (request, reply) => {
    const { data, place } = context.opened();
    const overview = await data.overview(parseQuery(request.query).page);
    return sendHtml(reply, batchesPage(overview, place, await context.queueAway()));
  });

  server.get('/api/batches', async (request, reply) => {
    const { page } = parseQuery(request.query);
    return reply.send(await context.opened().data.overview(page));
  });

  server.get<Named>('/batches/:name', async (request, reply) => {
    const { data, place } = context.opened();
    const query = parseQuery(request.query);
    const { id, status } = await findBatch(context, request);
    if (query.key !== undefined) {
      const rows = await data.findRowIds(id, query.key);
      if (rows.length === 0) {
        throw noSuchRow(
          `batch ${status.batch} has no row whose key begins with ${shorten(query.key, 200)}, nor such a task id`,
        );
      }
      const [only] = rows;
      if (rows.length === 1 && only !== undefined && query.after === undefined)
        return reply.redirect(rowPath(only), 303);
    }
    return sendHtml(reply, batchPage(status, await data.rows(id, query), query, place));
  });

  server.get<Named>('/api/batches/:name', async (request, reply) => {
    const query = parseQuery(request.query);
    const { id, status } = await findBatch(context, request);
    return reply.send({ ...status, ...(await context.opened().data.rows(id, query)) });
  });

  server.get<Numbered>('/rows/:id', async (request, reply) => {
    const { data, place } = context.opened();
    const { id } = request.params;
    const life = /^[1-9]\d{0,14}$/.test(id) ? await data.life(Number(id)) : undefined;
    if (life === undefined) throw noSuchRow(`there is no row number ${shorten(id, 40)}`);
    return sendHtml(reply, rowPage(life, place));
  });

  server.get('/workers', async (_request, reply) => {
    const { data, place } = context.opened();
    return sendHtml(reply, workersPage(await data.workers(), place, Date.now()));
  });

  server.get('/failures', async (request, reply) => {
    const { data, place } = context.opened();
    const since = parseText(request.query, 'since');
    return sendHtml(reply, failuresPage(await data.failures(since), since, place));
  });

  server.get('/cost', async (request, reply) => {
    const { data, place } = context.opened();
    const since = parseText(request.query, 'since');
    return sendHtml(reply, costPage(await data.costs(since), since, place));
  });

  server.get('/find', async (request, reply) => {
    const { data, place } = context.opened();
    const query = parseText(request.query, 'q') ?? '';
    const { rows, more } = await data.find(query);
    return sendHtml(reply, findPage(query, rows, more, place));
  });

  server.get('/schedules', async (_request, reply) => {
    const { data, place } = context.opened();
    return sendHtml(reply, schedulesPage(await data.schedules(), place));
  });

  server.get('/api/schedules', async (_request, reply) =>
    reply.send(await context.opened().data.schedules()),
  );

  // Both stay the same as long as the program runs.
  server.get('/style.css', async (_request, reply) =>
    reply.type('text/css; charset=utf-8').header('cache-control', 'max-age=300').send(STYLE),
  );

  server.get('/live.js', async (_request, reply) =>
    reply.type('text/javascript; charset=utf-8').header('cache-control', 'max-age=300').send(LIVE_SCRIPT),
  );

  let healthy = true;
  // Anyone may ask this, as often as they like. Only the log says why the ledger does not answer, and says it once.
  server.get(HEALTH_PATH, async (_request, reply) => {
    try {
      await context.opened().data.ping();
      healthy = true;
      return await reply.send({ ok: true });
    } catch (error) {
      if (healthy) log.warn({ event: 'board-health', error: messageOf(error) }, 'the ledger does not answer');
      healthy = false;
      return reply.code(503).send({ ok: false });
    }
  });
}

async function findBatch(
  context: AppContext,
  { params: { name } }: FastifyRequest<Named>,
): Promise<{ id: number; status: BatchStatus }> {
  const found = await context.opened().data.batch(name);
  if (found === undefined) throw new VidbatchError('NO_SUCH_BATCH', `there is no batch named ${name}`);
  return found;
}

function noSuchRow(message: string): VidbatchError {
  return new VidbatchError('NO_SUCH_ROW', message);
}

/** Errors and unknown paths, as a page or as JSON, each with its code. */
export function mountErrors(server: FastifyInstance, log: Logger): void {
  server.setErrorHandler((error, request, reply) => {
    const status = statusOf(error);
    if (status >= 500) {
      log.warn({ event: 'board-error', url: request.url, error: messageOf(error) }, 'a page failed');
    }
    return sendError(request, reply, status, error);
  });
  server.setNotFoundHandler((request, reply) =>
    sendError(request, reply, 404, new VidbatchError('NO_SUCH_PAGE', 'there is no such page')),
  );
}

function statusOf(error: unknown): number {
  if (error instanceof VidbatchError) {
    if (error.code === 'NO_SUCH_BATCH' || error.code === 'NO_SUCH_ROW') return 404;
    return error.exitCode === EXIT.usage ? 400 : 503;
  }
  // Fastify refuses some requests itself, such as a URL that cannot be decoded.
  const status = (error as { statusCode?: unknown } | undefined)?.statusCode;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}
