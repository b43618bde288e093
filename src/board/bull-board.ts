import { createBullBoard } from '@bull-board/api';
import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import type { FastifyInstance } from 'fastify';
import { BULL_BOARD_POLICY } from './guard.ts';

export const QUEUES_PATH = '/queues';

/**
 * Puts Bull Board under `/queues`. `refresh` is called before each answer that speaks of queues. Returns what sets
 * the queues that are shown.
 */
export async function mountBullBoard(
  server: FastifyInstance,
  options: { showWorkers: boolean; refresh: () => Promise<void> },
): Promise<(adapters: readonly BullMQAdapter[]) => void> {
  const serverAdapter = new FastifyAdapter();
  serverAdapter.setBasePath(QUEUES_PATH);
  const { replaceQueues } = createBullBoard({
    queues: [],
    // The adapter brings an API package of its own, one patch older: the same shapes, but other private members.
    serverAdapter: serverAdapter as unknown as Parameters<typeof createBullBoard>[0]['serverAdapter'],
    options: {
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
        if (!request.url.startsWith(`${QUEUES_PATH}/static/`)) await options.refresh();
      });
      scope.addHook('onSend', async (_request, _reply, payload) =>
        typeof payload === 'string' ? withoutForeignLinks(payload) : payload,
      );
      await scope.register(serverAdapter.registerPlugin());
    },
    { prefix: QUEUES_PATH },
  );
  return (adapters) => replaceQueues([...adapters]);
}

/**
 * Bull Board's page asks Google for its fonts. Whoever opens this board tells nobody about it; the browser's own
 * fonts will do.
 */
function withoutForeignLinks(payload: string): string {
  if (!payload.startsWith('<!DOCTYPE html>')) return payload;
  return payload.replaceAll(/<link\b[^>]*\bhref="(?:https?:)?\/\/[^>]*>/gi, '');
}
