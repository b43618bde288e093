import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf, VidbatchError } from '../core/errors.ts';
import {
  html,
  invalidUrl,
  taskError,
  taskNotExist,
  tooLarge,
  report,
  type Answer,
} from './gateway-answers.ts';
import { faultKind, parseFaultName, type ChosenFault } from './fault.ts';
import { badKey, type Gateway, type SimulatorState } from './gateway.ts';
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
  /** Cuts every connection, and refuses new ones for this time. */
  leave: (ms: number) => void;
}

/** The two calls of the provider, from the head of a request to the end of its answer. */
export class Handler {
  readonly #options: HandlerOptions;
  #creates: number;

  constructor(options: HandlerOptions) {
    this.#options = options;
    this.#creates = options.record.entries.reduce((last, create) => Math.max(last, create.requestNumber), 0);
  }

  async create(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { gateway, stats, delays, settings, maxBodyBytes } = this.#options;
    this.#creates += 1;
    const number = this.#creates;
    stats.opened();
    res.once('close', () => stats.closed());
    // The gateway's own id of a request.
    res.setHeader('x-oneapi-request-id', `simulated-${number}`);
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
    if (!authorized) return final(badKey());
    if (chosen !== undefined && 'body' in chosen) return final(chosen);
    if (body === 'too-large') return final(tooLarge());
    const decision = gateway.decide(
      {
        number,
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
    const { record, rules, stats, settings, seed } = this.#options;
    stats.count('queries');
    const { queries: number } = stats.report();
    req.resume();
    const exchange = new Exchange(req, res, () => undefined);
    if (!this.#isAuthorized(req)) return this.#send(exchange, badKey(), number);
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

  /** Any other path or method. */
  async elsewhere(req: IncomingMessage, res: ServerResponse, path: string): Promise<void> {
    const { stats, settings, maxBodyBytes } = this.#options;
    stats.count('elsewhere');
    const exchange = new Exchange(req, res, () => undefined);
    if ((await readBody(req, maxBodyBytes)) === 'gone') return;
    exchange.send(settings().spaFallback ? html(200, 'New API') : invalidUrl(req.method ?? '', path));
  }

  #report(taskId: string, origin: string, arrives: boolean): Answer {
    const { record, results, tasks, settings, seed, now } = this.#options;
    const create = record.find(taskId);
    if (create === undefined) return taskNotExist(settings().task.missingStatus);
    const life = tasks.life(create);
    const poll = tasks.poll(taskId);
    if (poll <= life.missingPolls) return taskNotExist(life.missingStatus);
    const { unknownStatus } = life;
    const task = tasks.answer(create, now(), poll, arrives);
    if (task === 'missing') return taskNotExist(life.missingStatus);
    return report(create, task, {
      shape: settings().queryShape,
      unknownStatus,
      poll,
      seed,
      resultUrl: results.url(create, origin),
    });
  }

  async #send(exchange: Exchange, answer: Answer, number: number, chosen?: ChosenFault): Promise<void> {
    const { settings, delays, seed, now, leave } = this.#options;
    const { latency, slowMs } = settings();
    await delays.wait(latency.minMs + (latency.maxMs - latency.minMs) * draw(seed, 'latency', number));
    if (chosen === undefined) exchange.send(answer);
    else await exchange.perform(faultKind(chosen).behaviour, answer, now(), slowMs, delays, leave);
  }

  #isAuthorized(req: IncomingMessage): boolean {
    const [, key] = /^Bearer (\S+)$/.exec(header(req, 'authorization') ?? '') ?? [];
    return key !== undefined && (this.#options.apiKey === undefined || key === this.#options.apiKey);
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
