import { createBullBoard } from '@bull-board/api';
import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { AppJob, AppQueue } from '@bull-board/api/typings/app';
import { FastifyAdapter } from '@bull-board/fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { VidbatchError } from '../core/errors.ts';
import { BULL_BOARD_POLICY } from './guard.ts';
import { jobOf } from './job.ts';
import { QUEUES_PATH, refuse } from './refusal.ts';
import { complain } from './routes.ts';
import type { Stage } from './stage.ts';
import { decide } from './writes.ts';

/** Puts Bull Board under `/queues`. Returns what sets the queues that are shown. */
export async function mountBullBoard(
  server: FastifyInstance,
  stage: Stage,
  options: { showWorkers: boolean },
): Promise<(adapters: readonly BullMQAdapter[]) => void> {
  const serverAdapter = new FastifyAdapter();
  serverAdapter.setBasePath(QUEUES_PATH);
  const { replaceQueues } = createBullBoard({
    queues: [],
    // The adapter brings an API package of its own, one patch older: the same shapes, but other private members.
    serverAdapter: serverAdapter as unknown as Parameters<typeof createBullBoard>[0]['serverAdapter'],
    options: {
      handlerHooks: {
        after: async ({ route, request }, result) => {
          const body = result.body as { queues?: AppQueue[]; job?: AppJob; workers?: unknown[] | null };
          if (route === '/api/queues' && body.queues !== undefined)
            return { ...result, body: { queues: await stage.queues(body.queues) } };
          if (route === '/api/queues/:queueName/:jobId' && body.job !== undefined)
            return { ...result, body: { ...body, job: jobOf(body.job) } };
          // Where no worker is expected, the list of workers is left out.
          if (route === '/api/queues/:queueName/workers' && body.workers?.length === 0) {
            const { queueName = '' } = (request?.params ?? {}) as { queueName?: string };
            if (stage.scene().shelf.hasWorkers(queueName, false) === null)
              return { ...result, body: { workers: null } };
          }
          return result;
        },
      },
      uiConfig: {
        boardTitle: 'vidbatch',
        miscLinks: [{ text: 'Batches', url: '/' }],
        hideDocsLink: true,
        showWorkers: options.showWorkers,
        pollingInterval: { showSetting: true },
        // A language file that does not exist for the browser's region is a 404 in its console.
        locale: { lng: 'en-US' },
      },
    },
  });
  await server.register(
    async (scope) => {
      scope.addHook('onRequest', async (request, reply) => {
        reply.header('content-security-policy', BULL_BOARD_POLICY);
        if (request.url.startsWith(`${QUEUES_PATH}/static/`)) return undefined;
        // Bull Board would wait for the connection, and show nothing meanwhile.
        const away = await stage.queueAway();
        if (away !== undefined) {
          if (request.url.startsWith(`${QUEUES_PATH}/api/`)) {
            return refuse(request, reply, { status: 503, code: 'QUEUE_AWAY', message: away });
          }
          return complain(request, reply, 503, new VidbatchError('QUEUE_AWAY', away));
        }
        await stage.refresh();
        return undefined;
      });
      scope.addHook('preHandler', async (request, reply) => press(stage, request, reply));
      scope.addHook('onSend', async (_request, _reply, payload) =>
        typeof payload === 'string' ? withoutForeignLinks(payload) : payload,
      );
      await scope.register(serverAdapter.registerPlugin());
    },
    { prefix: QUEUES_PATH },
  );
  return (adapters) => replaceQueues([...adapters]);
}

/** A button: ours to do, ours to refuse, or Bull Board's. The guard has let it through. */
async function press(stage: Stage, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  if (request.method === 'GET' || request.method === 'HEAD') return undefined;
  const { shelf, pauses } = stage.scene();
  const { queueName } = request.params as { queueName?: string };
  const shown = queueName === undefined ? undefined : shelf.find(queueName);
  const decision = await decide({ request, shown, all: shelf.queues(), pauses });
  if (decision === 'pass') return undefined;
  if (decision === 'done') return reply.send({});
  return refuse(request, reply, decision);
}

/**
 * Bull Board's page asks Google for its fonts. Whoever opens this board tells nobody about it; the browser's own
 * fonts will do.
 */
function withoutForeignLinks(payload: string): string {
  if (!payload.startsWith('<!DOCTYPE html>')) return payload;
  return payload.replaceAll(/<link\b[^>]*\bhref="(?:https?:)?\/\/[^>]*>/gi, '');
}
