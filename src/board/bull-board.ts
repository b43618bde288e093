import { createBullBoard } from '@bull-board/api';
import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { AppJob, AppQueue } from '@bull-board/api/typings/app';
import { FastifyAdapter } from '@bull-board/fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { VidbatchError } from '../core/errors.ts';
import type { AppContext } from './app-context.ts';
import { decideWrite } from './buttons.ts';
import { BULL_BOARD_POLICY } from './access/guard.ts';
import { formatJob } from './queue-list.ts';
import { sendRefusal, sendError } from './responses.ts';
import { DOCTOR_PATH, QUEUES_PATH } from './url.ts';
import type { Language, View } from './view.ts';

/** Bull Board's own languages. */
const LOCALES = { en: 'en-US', zh: 'zh-CN' } as const satisfies Record<Language, string>;

/** Its link to the batches. */
const BACK = 'Batches';
const CHECKS = 'Checks';

/** Puts Bull Board under `/queues`. Returns a function that sets the queues to show. */
export async function mountBullBoard(
  server: FastifyInstance,
  context: AppContext,
  { showWorkers, publicPath }: { showWorkers: boolean; publicPath: string },
): Promise<(adapters: readonly BullMQAdapter[]) => void> {
  const serverAdapter = new FastifyAdapter();
  serverAdapter.setBasePath(`${publicPath}${QUEUES_PATH}`);
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
            return { ...result, body: { ...body, job: formatJob(body.job, publicPath) } };
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
        miscLinks: [
          { text: BACK, url: `${publicPath}/` },
          { text: CHECKS, url: `${publicPath}${DOCTOR_PATH}` },
        ],
        hideDocsLink: true,
        showWorkers,
        pollingInterval: { showSetting: true },
        // The browser's region may have no language file, which would be a 404 in its console.
        locale: { lng: LOCALES.en },
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
            return sendRefusal(request, reply, { status: 503, code: 'QUEUE_AWAY', message: away.reason });
          }
          return sendError(request, reply, 503, new VidbatchError('QUEUE_AWAY', away.reason));
        }
        await context.refresh();
        return undefined;
      });
      scope.addHook('preHandler', async (request, reply) => handleWrite(context, request, reply));
      scope.addHook('onSend', async (request, _reply, payload) =>
        typeof payload === 'string' && payload.startsWith('<!DOCTYPE html>')
          ? inLanguage(withoutForeignLinks(payload), request.view)
          : payload,
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
  return payload.replaceAll(/<link\b[^>]*\bhref="(?:https?:)?\/\/[^>]*>/gi, '');
}

/** Its page carries one configuration for all readers: here it gets the language of this one. */
function inLanguage(payload: string, { language, say }: View): string {
  return payload
    .replace(`"lng":"${LOCALES.en}"`, `"lng":"${LOCALES[language]}"`)
    .replace(`"text":"${BACK}"`, `"text":"${say(BACK)}"`)
    .replace(`"text":"${CHECKS}"`, `"text":"${say(CHECKS)}"`);
}
