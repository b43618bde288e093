import { createServer, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { closed, listen } from '../provider/server.ts';

/** A provider that accepts each row, and answers when it is told to. */
export interface HoldingProvider {
  url: string;
  /** Prompts of all requests, as they came. */
  prompts: string[];
  /** Resolves when so many requests are waiting for their answers. */
  waiting: (requests: number) => Promise<void>;
  /** Answers all that wait. */
  release: () => void;
  close: () => Promise<void>;
}

/** The first request is answered at once: until a batch has had its first accept, one row is in flight. */
export async function startHolding(): Promise<HoldingProvider> {
  const prompts: string[] = [];
  const held: (() => void)[] = [];
  let holding = false;
  let seen: (() => void) | undefined;
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      // Whoever lives long enough asks for tasks: later, here.
      if (request.method !== 'POST') {
        response.writeHead(503).end();
        return;
      }
      prompts.push((JSON.parse(body) as { prompt: string }).prompt);
      const taskId = `task_${prompts.length}`;
      const answer = (): ServerResponse =>
        response.setHeader('content-type', 'application/json').end(JSON.stringify({ task_id: taskId }));
      if (!holding) {
        holding = true;
        answer();
        return;
      }
      held.push(() => void answer());
      seen?.();
    });
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    prompts,
    async waiting(requests) {
      while (held.length < requests) {
        await new Promise<void>((resolve) => {
          seen = resolve;
        });
      }
    },
    release() {
      for (const answer of held.splice(0)) answer();
    },
    close: () => closed(server),
  };
}
