import { randomUUID } from 'node:crypto';
import { Agent, request } from 'undici';
import { codeOf } from '../../database/connection-errors.ts';
import { testMessage } from './message.ts';
import { formatRequest, type Notification } from './request.ts';
import { formatTarget, type Target } from './target.ts';

/** Sends notifications over connections of its own, so that none delays a paid call. */
export interface Postman {
  /** One POST. Undefined: delivered; else why not, without the URL. Never throws. */
  post(target: Target, notification: Notification): Promise<string | undefined>;
  /** Gives up what is on its way. */
  close(): Promise<void>;
}

const TIMEOUT_MS = 10_000;
/** More of an answer is not read. */
const MOST_BYTES = 16 * 1024;

export function openPostman({ timeoutMs = TIMEOUT_MS, now = Date.now } = {}): Postman {
  const agent = new Agent({ allowH2: false, pipelining: 1, connections: 1, connect: { timeout: timeoutMs } });
  const closing = new AbortController();
  return {
    async post(target, notification) {
      const { url, headers, body } = formatRequest(target, notification, now());
      const over = AbortSignal.timeout(timeoutMs);
      try {
        // `request` of undici follows no redirect.
        const answer = await request(url, {
          method: 'POST',
          headers,
          body,
          dispatcher: agent,
          signal: AbortSignal.any([over, closing.signal]),
        });
        const text = await readBeginning(answer.body);
        return judge(target, answer.statusCode, text);
      } catch (error) {
        if (over.aborted) return `no answer within ${timeoutMs / 1000} s`;
        // The message of an error may repeat the URL. Its code cannot.
        return codeOf(error) ?? 'the request failed';
      }
    },
    async close() {
      closing.abort();
      await agent.destroy();
    },
  };
}

/** Sends a test message to each target, once. `failure`: why it was not delivered, without the URL. */
export async function* sendTest(
  targets: readonly Target[],
  who: string,
): AsyncGenerator<{ target: string; failure: string | undefined }> {
  const postman = openPostman();
  try {
    for (const target of targets) {
      const notification = { ...testMessage(who), id: `test-${randomUUID()}`, ledger: null, at: new Date() };
      yield { target: formatTarget(target), failure: await postman.post(target, notification) };
    }
  } finally {
    await postman.close();
  }
}

async function readBeginning(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= MOST_BYTES) break;
  }
  return Buffer.concat(chunks).toString();
}

/** DingTalk, WeCom and Feishu answer 200 and a code, which is 0 when the message was taken. */
function judge({ format }: Target, status: number, text: string): string | undefined {
  if (status >= 300 && status < 400) return `HTTP ${status}: redirects are not followed`;
  if (status < 200 || status >= 300) return `HTTP ${status}`;
  if (format === 'json' || format === 'slack') return undefined;
  const code = codeIn(text);
  return code === 0 ? undefined : `HTTP ${status} with ${code === undefined ? 'no code' : `code ${code}`}`;
}

function codeIn(text: string): number | undefined {
  try {
    const answer = JSON.parse(text) as Record<string, unknown> | null;
    const code = answer?.['errcode'] ?? answer?.['code'] ?? answer?.['StatusCode'];
    return typeof code === 'number' ? code : undefined;
  } catch {
    return undefined;
  }
}
