import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Delivery, deliver, RESULT_FAULTS, type ResultFaultName, storeError } from './delivery.ts';
import type { AcceptedCreate } from './record.ts';
import { draw, pickByRate } from './random.ts';
import { DROPS, header } from './http.ts';
import type { SimulatorState } from './gateway.ts';

const PATH = /^\/results\/([^/]+)\.mp4$/;
/** The object store beside the provider: signed URLs that expire, and the videos behind them. */
export class Results {
  readonly #state: SimulatorState;

  constructor(state: SimulatorState) {
    this.#state = state;
  }

  isResult(path: string): boolean {
    return PATH.test(path);
  }

  /** The URL of a completed task's video, below `origin`. */
  url(create: AcceptedCreate, origin: string): string {
    const { tasks, now } = this.#state;
    const { resultMs, resultRenewed } = tasks.life(create);
    const query = new URLSearchParams();
    if (resultMs !== null) {
      const from = resultRenewed ? now() : tasks.span(create).endsAt;
      query.set('Expires', String(Math.ceil((from + resultMs) / 1000)));
    }
    query.set('Signature', this.#sign(create.taskId, query.get('Expires')));
    return `${origin}/results/${create.taskId}.mp4?${query.toString()}`;
  }

  async serve(req: IncomingMessage, res: ServerResponse, path: string): Promise<void> {
    await this.#send(req, res, () => this.#signed(req, PATH.exec(path)?.[1] ?? ''));
  }

  /** The video for a request whose key is right. */
  async serveContent(req: IncomingMessage, res: ServerResponse, taskId: string): Promise<void> {
    await this.#send(req, res, () => this.#delivery(req, taskId));
  }

  async #send(req: IncomingMessage, res: ServerResponse, choose: () => Delivery): Promise<void> {
    const { stats, delays, settings } = this.#state;
    stats.count('results');
    req.resume();
    res.on('error', () => undefined);
    const delivery = choose();
    const { slowMs } = settings();
    if (delivery.unframed === true) {
      res.useChunkedEncodingByDefault = false;
      res.shouldKeepAlive = false;
    }
    res.writeHead(delivery.status, delivery.headers);
    const half = Number(delivery.headers['content-length']) / 2;
    const stop = delivery.end === undefined ? Infinity : (delivery.after ?? half);
    let sent = 0;
    for (const chunk of inPieces(delivery, stop)) {
      if (delivery.slow === true && sent > 0) await delays.wait(slowMs / (DROPS - 1));
      if (res.destroyed) return;
      sent += chunk.length;
      if (!res.write(chunk)) await room(res);
    }
    if (delivery.end === 'stall') return;
    if (delivery.end === undefined) res.end();
    // What has been written leaves first.
    else if (delivery.end === 'close') res.write('', () => req.socket.end());
    else res.write('', () => req.socket.resetAndDestroy());
  }

  #signed(req: IncomingMessage, taskId: string): Delivery {
    // As S3 does: a signed URL with a key is refused.
    if (req.headers.authorization !== undefined) return storeError(400, 'InvalidArgument');
    if (this.#completed(taskId) === undefined) return storeError(404, 'NoSuchKey');
    const query = new URLSearchParams(req.url?.split('?')[1]);
    const expires = query.get('Expires');
    const isSigned = query.get('Signature') === this.#sign(taskId, expires);
    if (!isSigned || (expires !== null && this.#state.now() > Number(expires) * 1000))
      return storeError(403, 'AccessDenied');
    return this.#delivery(req, taskId);
  }

  #completed(taskId: string): AcceptedCreate | undefined {
    const { record, tasks, now } = this.#state;
    const create = record.find(taskId);
    return create !== undefined && tasks.status(create, now(), 1).status === 'completed' ? create : undefined;
  }

  #delivery(req: IncomingMessage, taskId: string): Delivery {
    const { rules, tasks, stats, settings, seed } = this.#state;
    const create = this.#completed(taskId);
    if (create === undefined) return storeError(404, 'NoSuchKey');
    const asked = {
      taskId,
      size: tasks.life(create).resultBytes,
      modifiedAt: tasks.span(create).endsAt,
      range: req.headers.range ?? null,
      ifRange: header(req, 'if-range'),
      target: req.url ?? '',
      number: stats.report().results,
    };
    const fault: ResultFaultName | undefined =
      rules.atResult(create.body.prompt) ??
      pickByRate(settings().resultFaults, draw(seed, 'result-fault', asked.number))?.name;
    return fault === undefined ? deliver(asked) : RESULT_FAULTS[fault].deliver(asked);
  }

  #sign(taskId: string, expires: string | null): string {
    return createHash('sha256').update(`${this.#state.seed}:${taskId}:${expires}`).digest('hex').slice(0, 32);
  }
}

/** Waits until the client has read, or is gone. Leaves no listener behind. */
async function room(res: ServerResponse): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  try {
    await Promise.race([once(res, 'drain', { signal }), once(res, 'close', { signal })]);
  } catch {
    // The next write sees the broken socket.
  } finally {
    over.abort();
  }
}

function* inPieces({ body, slow, headers }: Delivery, stop: number): Generator<Buffer> {
  const size = slow === true ? Math.max(1, Math.ceil(Number(headers['content-length']) / DROPS)) : 65_536;
  let sent = 0;
  for (const block of body) {
    for (let at = 0; at < block.length; at += size) {
      if (sent >= stop) return;
      const piece = block.subarray(at, Math.min(at + size, block.length, at + stop - sent));
      sent += piece.length;
      yield piece;
    }
  }
}
