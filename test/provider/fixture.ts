import { createServer } from 'node:net';
import type { TestContext } from 'node:test';
import { createProvider, type Provider, type ProviderOptions } from '../../src/provider/client.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import { closed, listen, wireServer, type WireRequest, type WireServer } from './server.ts';

export const API_KEY = 'sk-test/0123456789';
export const BODY = '{"model":"viduq3p-720p","prompt":"长镜头"}';

/** A provider that is closed after the test. */
export function provider(t: TestContext, baseUrl: string, options: Partial<ProviderOptions> = {}): Provider {
  const made = createProvider({ baseUrl, apiKey: API_KEY, ...options });
  t.after(() => made.close());
  return made;
}

/** A provider, and the server that it speaks to. */
export async function setUp(
  t: TestContext,
  answer: (request: WireRequest) => void,
  options: Partial<ProviderOptions> = {},
): Promise<[Provider, WireServer]> {
  const server = await wireServer(answer);
  const made = provider(t, server.url, options);
  t.after(() => server.close());
  return [made, server];
}

export function create(made: Provider): Promise<Outcome> {
  return made.create(BODY, { idempotencyKey: 's1-0' });
}

/** A port of this machine on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await closed(server);
  return port;
}
