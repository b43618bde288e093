import { createBullBoard } from '@bull-board/api';
import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { AppJob, AppQueue } from '@bull-board/api/typings/app';
import { FastifyAdapter } from '@bull-board/fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { VidbatchError } from '../core/errors.ts';
import type { AppContext } from './app-context.ts';
import { decideWrite } from './buttons.ts';
import { BULL_BOARD_POLICY } from './guard.ts';
import { formatJob } from './queue-list.ts';
import { QUEUES_PATH, sendRefusal, sendError } from './responses.ts';

/** Puts Bull Board under `/queues`. Returns a function that sets the queues to show. */
export async function mountBullBoard(
  server: FastifyInstance,
  context: AppContext,
  options: { showWorkers: boolean },
): Promise<(adapters: readonly BullMQAdapter[]) => void> {
  const serverAdapter = new FastifyAdapter();
  serverAdapter.setBasePath(QUEUES_PATH);
  const { replaceQueues } = createBullBoard({
    queues: [],
    // The adapter has its own copy of the API package, one patch older: the same shapes with other private members.
    serverAdapter: serverAdapter as unknown as Parameters<typeof createBullBoard>[0]['serverAdapter'],
    options: {
      handlerHooks: {
        after: async ({ route, request }, result) => {
          const body = result.body as { queues?: AppQueue[]; job?: AppJob; workers?: unknown[] | null };
          if (route === '/api/queues' && body.queues !== undefined)
            return { ...result, body: { queues: await context.withLedgerState(body.queues) } };
          if (route === '/api/queues/:queueName/:jobId' && body.job !== undefined)
            return { ...result, body: { ...body, job: formatJob(body.job) } };
          // No list of workers for a queue that no worker should serve.
          if (route === '/api/queues/:queueName/workers' && body.workers?.length === 0) {
            const { queueName = '' } = (request?.params ?? {}) as { queueName?: string };
            if (context.opened().queueList.hasWorkers(queueName, false) === null)
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
        // The browser's region may have no language file, which would be a 404 in its console.
        locale: { lng: 'en-US' },
      },
    },
  });
  await server.register(
    async (scope) => {
      scope.addHook('onRequest', async (request, reply) => {
        reply.header('content-security-policy', BULL_BOARD_POLICY);
        if (request.url.startsWith(`${QUEUES_PATH}/static/`)) return undefined;
        // Bull Board would wait for the connection and show nothing.
        const away = await context.queueAway();
        if (away !== undefined) {
          if (request.url.startsWith(`${QUEUES_PATH}/api/`)) {
            return sendRefusal(request, reply, { status: 503, code: 'QUEUE_AWAY', message: away });
          }
          return sendError(request, reply, 503, new VidbatchError('QUEUE_AWAY', away));
        }
        await context.refresh();
        return undefined;
      });
      scope.addHook('preHandler', async (request, reply) => handleWrite(context, request, reply));
      scope.addHook('onSend', async (_request, _reply, payload) =>
        typeof payload === 'string' ? withoutForeignLinks(payload) : payload,
      );
      await scope.register(serverAdapter.registerPlugin());
    },
    { prefix: QUEUES_PATH },
  );
  return (adapters) => replaceQueues([...adapters]);
}

/** A button's request that the guard allowed: vidbatch does it, refuses it, or leaves it to Bull Board. */
async function handleWrite(
  context: AppContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  if (request.method === 'GET' || request.method === 'HEAD') return undefined;
  const { queueList, pauses } = context.opened();
  const { queueName } = request.params as { queueName?: string };
  const shown = queueName === undefined ? undefined : queueList.find(queueName);
  const decision = await decideWrite({ request, shown, all: queueList.queues(), pauses });
  if (decision === 'pass') return undefined;
  if (decision === 'done') return reply.send({});
  return sendRefusal(request, reply, decision);
}

/** Bull Board's page loads fonts from Google. Opening this board must contact no third party, so the links go. */
function withoutForeignLinks(payload: string): string {
  if (!payload.startsWith('<!DOCTYPE html>')) return payload;
  return payload.replaceAll(/<link\b[^>]*\bhref="(?:https?:)?\/\/[^>]*>/gi, '');
}
