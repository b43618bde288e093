import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf, VidbatchError } from '../core/errors.ts';
import { html, json, type Answer } from './answer.ts';
import { answerOf, faultKind, parseFaultName, type ChosenFault } from './fault.ts';
import type { Gateway, SimulatorState } from './gateway.ts';
import { taskError } from './gateway-answers.ts';
import type { Results } from './results.ts';
import { beforeBody } from './fault-rules.ts';
import { draw, pickByRate } from './random.ts';
import { Exchange, header, readBody } from './http.ts';

interface HandlerOptions extends SimulatorState {
  gateway: Gateway;
  results: Results;
  /** The only accepted key; absent: any. */
  apiKey: string | undefined;
  maxBodyBytes: number;
  /** Listed in addition to those of the dialect. */
  models: readonly string[];
  /** Cuts every connection, and refuses new ones for this time. */
  leave: (ms: number) => void;
}

/** The calls of the provider, from the head of a request to the end of its answer. */
export class Handler {
  readonly #options: HandlerOptions;
  #creates: number;

  constructor(options: HandlerOptions) {
    this.#options = options;
    this.#creates = options.record.entries.reduce((last, create) => Math.max(last, create.requestNumber), 0);
  }

  async create(req: IncomingMessage, res: ServerResponse, path: string): Promise<void> {
    const { dialect, gateway, stats, delays, settings, maxBodyBytes } = this.#options;
    this.#creates += 1;
    const number = this.#creates;
    stats.opened();
    res.once('close', () => stats.closed());
    // The provider's own id of a request.
    res.setHeader(dialect.requestIdHeader, `simulated-${number}`);
    stats.count('creates');
    const exchange = new Exchange(req, res, (status) => stats.answered(status));

    const authorized = this.#isAuthorized(req);
    const chosen = authorized
      ? fault(() => gateway.faultAtHead(number, header(req, 'x-simulate') ?? undefined))
      : undefined;
    if (chosen !== undefined && 'name' in chosen && beforeBody(chosen)) return exchange.reset();
    const body = await readBody(req, maxBodyBytes);
    if (body === 'gone') return;

    const final = (answer: Answer): Promise<void> => this.#send(exchange, answer, number);
    if (!authorized) return final(dialect.refuse('unauthorized'));
    if (chosen !== undefined && 'body' in chosen) return final(chosen);
    if (body === 'too-large') return final(dialect.refuse('too-large'));
    const decision = gateway.decide(
      {
        number,
        path,
        bodyText: body.text,
        contentType: header(req, 'content-type'),
        idempotencyKey: header(req, 'idempotency-key'),
        authorization: header(req, 'authorization') !== null,
      },
      chosen,
    );
    if (decision.kind === 'final') return final(decision.answer);
    if (decision.fault?.name === 'accept-late') await delays.wait(settings().slowMs);
    await this.#send(exchange, decision.accept(), number, decision.fault);
  }

  async query(req: IncomingMessage, res: ServerResponse, taskId: string): Promise<void> {
    const { dialect, record, rules, stats, settings, seed } = this.#options;
    stats.count('queries');
    const { queries: number } = stats.report();
    req.resume();
    const exchange = new Exchange(req, res, () => undefined);
    if (!this.#isAuthorized(req)) return this.#send(exchange, dialect.refuse('unauthorized'), number);
    const asked = header(req, 'x-simulate');
    const prompt = record.find(taskId)?.body.prompt ?? '';
    const rated = pickByRate(settings().queryFaults, draw(seed, 'query-fault', number));
    const chosen = fault(() =>
      asked === null ? (rules.atBody('query', prompt) ?? rated) : parseFaultName(asked),
    );
    if (chosen !== undefined && 'body' in chosen) return this.#send(exchange, chosen, number);
    await this.#send(
      exchange,
      this.#report(taskId, `http://${req.headers.host ?? 'localhost'}`, chosen === undefined),
      number,
      chosen,
    );
  }

  /** The video itself, where the provider asks for the key. */
  async content(req: IncomingMessage, res: ServerResponse, taskId: string): Promise<void> {
    const { dialect, results } = this.#options;
    if (this.#isAuthorized(req)) return results.serveContent(req, res, taskId);
    req.resume();
    new Exchange(req, res, () => undefined).send(dialect.refuse('unauthorized'));
  }

  /** The models that the key may use. */
  models(req: IncomingMessage, res: ServerResponse): void {
    const { dialect, models } = this.#options;
    req.resume();
    const names = new Set([...(dialect.models?.names ?? []), ...models]);
    const data = [...names].map((id) => ({ id, object: 'model' }));
    const answer = this.#isAuthorized(req)
      ? json(200, { object: 'list', data })
      : dialect.refuse('unauthorized');
    new Exchange(req, res, () => undefined).send(answer);
  }

  /** Any other path or method. */
  async elsewhere(req: IncomingMessage, res: ServerResponse, path: string): Promise<void> {
    const { dialect, stats, settings, maxBodyBytes } = this.#options;
    stats.count('elsewhere');
    const exchange = new Exchange(req, res, () => undefined);
    if ((await readBody(req, maxBodyBytes)) === 'gone') return;
    const wrong = dialect.refuse('no-path', `Invalid URL (${req.method ?? ''} ${path})`);
    exchange.send(settings().spaFallback ? html(200, 'New API') : wrong);
  }

  #report(taskId: string, origin: string, arrives: boolean): Answer {
    const { dialect, record, results, tasks, settings, seed, now } = this.#options;
    const missing = dialect.missing ?? (() => dialect.refuse('no-task'));
    const create = record.find(taskId);
    if (create === undefined) return missing(settings().task.missingStatus);
    const life = tasks.life(create);
    const poll = tasks.poll(taskId);
    if (poll <= life.missingPolls) return missing(life.missingStatus);
    const { unknownStatus } = life;
    const task = tasks.answer(create, now(), poll, arrives);
    if (task === 'missing') return missing(life.missingStatus);
    return dialect.report(create, task, {
      queryShape: settings().queryShape,
      unknownStatus,
      poll,
      seed,
      resultUrl: results.url(create, origin),
    });
  }

  async #send(exchange: Exchange, answer: Answer, number: number, chosen?: ChosenFault): Promise<void> {
    const { dialect, settings, delays, seed, now, leave } = this.#options;
    const { latency, slowMs } = settings();
    await delays.wait(latency.minMs + (latency.maxMs - latency.minMs) * draw(seed, 'latency', number));
    if (chosen === undefined) return exchange.send(answer);
    const { behaviour } = faultKind(chosen);
    if (behaviour.does === 'answer') return exchange.send(answerOf(behaviour, now(), dialect));
    await exchange.perform(behaviour, answer, slowMs, delays, leave);
  }

  #isAuthorized(req: IncomingMessage): boolean {
    const { apiKey, dialect } = this.#options;
    const sent = header(req, 'authorization') ?? '';
    const key = sent.startsWith(dialect.keyPrefix) ? sent.slice(dialect.keyPrefix.length) : '';
    return /^\S+$/.test(key) && (apiKey === undefined || key === apiKey);
  }
}

/** The chosen fault, or the answer to a request for an unknown one. */
function fault(choose: () => ChosenFault | undefined): ChosenFault | Answer | undefined {
  try {
    return choose();
  } catch (error) {
    if (!(error instanceof VidbatchError)) throw error;
    return taskError(400, 'unknown_simulated_fault', messageOf(error));
  }
}
