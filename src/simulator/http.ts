import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Answer, cutBeforeId, withoutId } from './answer.ts';
import type { Behaviour } from './fault.ts';

/** The pieces of a slow body. */
export const DROPS = 10;

/** The pending delays of one server, so that closing it leaves no timer behind. */
export class Delays {
  readonly #timers = new Set<NodeJS.Timeout>();
  #closed = false;

  /** Never resolves once the server is closed. */
  wait(ms: number): Promise<void> {
    if (ms <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      if (this.#closed) return;
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, ms);
      this.#timers.add(timer);
    });
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}

/** One request and its answer on a socket. Reports once which status the client got. */
export class Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  #told: ((status: number | 'none') => void) | undefined;

  constructor(req: IncomingMessage, res: ServerResponse, told: (status: number | 'none') => void) {
    this.req = req;
    this.res = res;
    this.#told = told;
    res.once('close', () => this.tell('none'));
    // A gateway does not notice that its client is gone.
    res.on('error', () => undefined);
  }

  tell(status: number | 'none'): void {
    this.#told?.(status);
    this.#told = undefined;
  }

  send(answer: Answer): void {
    if (!this.#head(answer)) return;
    this.res.end(answer.body);
  }

  /** RST: the client sees a reset. */
  reset(): void {
    this.tell('none');
    this.req.socket.resetAndDestroy();
  }

  /** FIN: the client sees an orderly end in the wrong place. */
  hangUp(): void {
    this.tell('none');
    this.req.socket.end();
  }

  /** Applies a fault to the answer. The wait of `slow accept` is over before. `leave` closes the server for a while. */
  async perform(
    behaviour: Exclude<Behaviour, { does: 'answer' }>,
    answer: Answer,
    slowMs: number,
    delays: Delays,
    leave: (ms: number) => void,
  ): Promise<void> {
    switch (behaviour.does) {
      case 'hang':
        return;
      case 'reset':
      case 'hang-up':
        if (behaviour.when === 'in-answer' && this.#head(answer)) {
          await this.#write(cutBeforeId(answer));
        }
        if (behaviour.does === 'reset') this.reset();
        else this.hangUp();
        return;
      case 'spoil': {
        const cut = { ...answer, body: cutBeforeId(answer) };
        this.send(behaviour.by === 'truncating' ? cut : withoutId(answer));
        return;
      }
      case 'close':
        // The head has promised keep-alive; the client may have queued its next request.
        if (this.#head(answer)) this.res.end(answer.body, () => this.req.socket.end());
        return;
      case 'leave':
        if (this.#head(answer)) this.res.end(answer.body, () => leave(slowMs));
        return;
      case 'slow':
        if (behaviour.part === 'headers') await delays.wait(slowMs);
        if (behaviour.part === 'body') await this.#drip(answer, slowMs, delays);
        else this.send(answer);
        return;
    }
  }

  async #drip(answer: Answer, slowMs: number, delays: Delays): Promise<void> {
    if (!this.#head(answer)) return;
    const body = Buffer.from(answer.body);
    const size = Math.max(1, Math.ceil(body.length / DROPS));
    for (let at = 0; at < body.length; at += size) {
      if (at > 0) await delays.wait(slowMs / (DROPS - 1));
      if (this.res.destroyed) return;
      this.res.write(body.subarray(at, at + size));
    }
    this.res.end();
  }

  #head(answer: Answer): boolean {
    if (this.res.destroyed || this.req.socket.destroyed) return false;
    const length = String(Buffer.byteLength(answer.body));
    this.res.writeHead(answer.status, { ...answer.headers, 'content-length': length });
    this.tell(answer.status);
    return true;
  }

  /** Resolves when the kernel has the text, or the socket is gone. */
  #write(text: string): Promise<void> {
    return new Promise((resolve) => {
      this.res.write(text, () => resolve());
    });
  }
}

/** One value of a header. */
export function header(req: IncomingMessage, name: string): string | null {
  const value = req.headers[name];
  return typeof value === 'string' ? value : null;
}

/** The body as text; `too-large` beyond `limit` bytes; `gone` when the client left before its end. */
export async function readBody(
  req: IncomingMessage,
  limit: number,
): Promise<{ text: string } | 'too-large' | 'gone'> {
  const chunks: Buffer[] = [];
  let size = 0;
  req.on('data', (chunk: Buffer) => {
    size += chunk.length;
    // The rest is read and dropped: a client that is still writing would see a reset, not the 413.
    if (size <= limit) chunks.push(chunk);
    else chunks.length = 0;
  });
  try {
    await once(req, 'end');
  } catch {
    return 'gone';
  }
  return size > limit ? 'too-large' : { text: Buffer.concat(chunks).toString('utf8') };
}
