import type { FastifyInstance, FastifyRequest } from 'fastify';
import { EXIT, messageOf, VidbatchError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { shorten } from '../core/text.ts';
import type { AppContext } from './app-context.ts';
import { LIVE_SCRIPT, STYLE } from './assets.ts';
import { HEALTH_PATH } from './access/guard.ts';
import { batchPage } from './batch/batch-page.ts';
import type { KnownBatch, PageData } from './page-data.ts';
import { costPage, failuresPage, findPage, workersPage } from './operating-pages.ts';
import { batchesPage } from './pages.ts';
import { sendError, sendHtml } from './responses.ts';
import { rowPage } from './batch/row-page.ts';
import { parseRowsQuery } from './row-query.ts';
import { ROW_STYLE } from './batch/row-style.ts';
import { schedulesPage } from './schedules-page.ts';
import { noSuchRow, parsePage, parseText, rowIdOf, rowPath } from './url.ts';
import { mountVideos } from './batch/video-route.ts';
import { videosPage } from './batch/videos-page.ts';

interface Named {
  Params: { name: string };
}

interface Numbered {
  Params: { id: string };
}

/** The board's own pages, and the same data as JSON under `/api`. */
export function mountPages(server: FastifyInstance, context: AppContext, log: Logger): void {
  mountBatches(server, context);
  mountVideos(server, context);
  mountOperating(server, context);
  mountAssets(server);
  mountHealth(server, context, log);
}

/** Batches and their rows. */
function mountBatches(server: FastifyInstance, context: AppContext): void {
  server.get('/', async (request, reply) => {
    const { data } = context.opened();
    const overview = await data.overview(parsePage(request.query));
    return sendHtml(reply, batchesPage(request.view, overview));
  });

  server.get('/api/batches', async (request, reply) => {
    return reply.send(await context.opened().data.overview(parsePage(request.query)));
  });

  server.get<Named>('/batches/:name', async (request, reply) => {
    const { data } = context.opened();
    const query = parseRowsQuery(request.query);
    const known = await findBatch(context, request);
    const only = query.key === undefined ? undefined : await findOnlyRow(data, known, query.key);
    if (only !== undefined && query.after === undefined)
      return reply.redirect(request.view.href(rowPath(only)), 303);
    const [rows, series] = await Promise.all([data.rows(known, query), data.series(known)]);
    return sendHtml(reply, batchPage(request.view, { known, series, rows, query, now: Date.now() }));
  });

  server.get<Named>('/api/batches/:name', async (request, reply) => {
    const query = parseRowsQuery(request.query);
    const known = await findBatch(context, request);
    return reply.send({ ...known.status, ...(await context.opened().data.rows(known, query)) });
  });

  server.get<Named>('/batches/:name/videos', async (request, reply) => {
    const { data } = context.opened();
    const asked = parseRowsQuery(request.query);
    const known = await findBatch(context, request);
    const query = { ...asked, ...(asked.task === undefined ? { state: 'submitted' as const } : {}) };
    const videos = await data.videos(known, query);
    return sendHtml(
      reply,
      videosPage(request.view, known.status.batch, { ...videos, query, now: Date.now() }),
    );
  });

  server.get<Numbered>('/rows/:id', async (request, reply) => {
    const { data } = context.opened();
    const id = rowIdOf(request.params.id);
    const seen = id === undefined ? undefined : await data.row(id);
    if (seen === undefined) throw noSuchRow(`there is no row number ${shorten(request.params.id, 40)}`);
    return sendHtml(reply, rowPage(request.view, seen, Date.now()));
  });
}

/** What concerns all batches: workers, failures, cost, schedules, and the search. */
function mountOperating(server: FastifyInstance, context: AppContext): void {
  server.get('/workers', async (request, reply) => {
    const { data } = context.opened();
    return sendHtml(reply, workersPage(request.view, await data.workers(), Date.now()));
  });

  server.get('/failures', async (request, reply) => {
    const { data } = context.opened();
    const since = parseText(request.query, 'since');
    return sendHtml(
      reply,
      failuresPage(request.view, await data.failures(since), { since, now: Date.now() }),
    );
  });

  server.get('/cost', async (request, reply) => {
    const { data } = context.opened();
    const since = parseText(request.query, 'since');
    return sendHtml(reply, costPage(request.view, await data.costs(since), since));
  });

  server.get('/find', async (request, reply) => {
    const { data } = context.opened();
    const query = parseText(request.query, 'q') ?? '';
    const { rows, more } = await data.find(query);
    return sendHtml(reply, findPage(request.view, query, rows, more));
  });

  server.get('/schedules', async (request, reply) => {
    const { data } = context.opened();
    return sendHtml(reply, schedulesPage(request.view, await data.schedules()));
  });

  server.get('/api/schedules', async (_request, reply) =>
    reply.send(await context.opened().data.schedules()),
  );
}

function mountAssets(server: FastifyInstance): void {
  // Both stay the same as long as the program runs.
  server.get('/style.css', async (_request, reply) =>
    reply
      .type('text/css; charset=utf-8')
      .header('cache-control', 'max-age=300')
      .send(STYLE + ROW_STYLE),
  );

  server.get('/live.js', async (_request, reply) =>
    reply.type('text/javascript; charset=utf-8').header('cache-control', 'max-age=300').send(LIVE_SCRIPT),
  );
}

function mountHealth(server: FastifyInstance, context: AppContext, log: Logger): void {
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

/**
 * The only row whose key begins with `key`, or whose task has this id. Undefined: there are several.
 * @throws VidbatchError when the batch has no such row.
 */
async function findOnlyRow(
  data: PageData,
  { id, status }: KnownBatch,
  key: string,
): Promise<number | undefined> {
  const [only, ...others] = await data.findRowIds(id, key);
  if (only === undefined) {
    throw noSuchRow(
      `batch ${status.batch} has no row whose key begins with ${shorten(key, 200)}, nor such a task id`,
    );
  }
  return others.length === 0 ? only : undefined;
}

async function findBatch(
  context: AppContext,
  { params: { name } }: FastifyRequest<Named>,
): Promise<KnownBatch> {
  const found = await context.opened().data.batch(name);
  if (found === undefined) throw new VidbatchError('NO_SUCH_BATCH', `there is no batch named ${name}`);
  return found;
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
    if (error.exitCode === EXIT.refused) return 409;
    return error.exitCode === EXIT.usage ? 400 : 503;
  }
  // Fastify refuses some requests itself, such as a URL that cannot be decoded.
  const status = (error as { statusCode?: unknown } | undefined)?.statusCode;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}
