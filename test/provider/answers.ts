import type { Answer } from '../../src/provider/answer.ts';

/** An answer with this body, as JSON unless it is text. */
export function answer(status: number, body: unknown, headers: Answer['headers'] = {}): Answer {
  return { status, headers, body: typeof body === 'string' ? body : JSON.stringify(body) };
}

export const gateway = (code: string, message = 'words'): unknown => ({ code, message, data: null });
export const openai = (code: string, message = 'words'): unknown => ({
  error: { message, type: 'new_api_error', code },
});
export const vendor = (reason: string): unknown =>
  gateway(
    'fail_to_fetch_task',
    JSON.stringify({ code: 400, reason, message: `why: ${reason}`, metadata: {} }),
  );
export const HTML = '<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>';
