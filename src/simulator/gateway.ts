import { type Answer, created, gatewayError, taskError } from './answer.ts';
import type { RefusedCreate } from './books.ts';
import { type ChosenFault, faultKind, isRefusal } from './fault.ts';
import { type AcceptedCreate, type AcceptRecord, newTaskId } from './record.ts';
import { beforeBody, type Rules } from './rule.ts';
import { draw } from './seed.ts';
import type { Settings } from './settings.ts';
import { faultAt, parseFaultName } from './spec.ts';
import type { Tasks } from './tasks.ts';
import { validate } from './validation.ts';

/** A create as it was read from the wire, except for its key. */
export interface CreateRequest {
  number: number;
  bodyText: string;
  contentType: string | null;
  idempotencyKey: string | null;
  authorization: boolean;
}

/** What the gateway makes of a create that broke no rule. */
export interface Admitted {
  kind: 'admitted';
  fault: ChosenFault | undefined;
  /** Records the create, unless the fault says that none exists, and returns the success answer either way. */
  accept: () => Answer;
}

/** The whole answer is known: a refusal, or what an honoured Idempotency-Key brings back. */
export interface Final {
  kind: 'final';
  answer: Answer;
}

export interface GatewayOptions {
  settings: () => Settings;
  rules: Rules;
  record: AcceptRecord;
  tasks: Tasks;
  seed: number;
  now: () => number;
  /** Names of models accepted beside those of the contract page. */
  models: readonly string[];
  /** Called for every create recorded. */
  onAccept: () => void;
}

/** What the provider decides: refuse, break, or accept and record. Knows no sockets. */
export class Gateway {
  readonly #options: GatewayOptions;
  /** When each create of the last second was let through. */
  #letThrough: number[] = [];
  /** Creates that the account can still pay for. */
  #left: number | null = null;
  /** Creates that became no task, in this process: a bill may be wrong about them. */
  readonly refused: RefusedCreate[] = [];
  /** Refusals by Idempotency-Key, while keys are honoured; accepted creates are found in the record. */
  readonly #refusals = new Map<string, Answer>();

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.balanceChanged();
  }

  /** From here on, the balance of the settings is what is left. */
  balanceChanged(): void {
    this.#left = this.#options.settings().balance;
  }

  /** The fault of a create of which only the head is known: by header, or before the body. Throws on a bad header. */
  faultAtHead(number: number, header: string | undefined): ChosenFault | undefined {
    if (header !== undefined) return parseFaultName(header);
    const rated = this.#rated(number);
    return this.#options.rules.atHead() ?? (beforeBody(rated) ? rated : undefined);
  }

  /**
   * Everything between the body and the answer, in the gateway's order: quota, balance, validation, fault.
   * Nothing in it waits, so that no two creates share the last place or the last credit.
   */
  decide(request: CreateRequest, chosen: ChosenFault | undefined): Admitted | Final {
    const { rules, models, now } = this.#options;
    const stored = this.#stored(request.idempotencyKey);
    if (stored !== undefined) return { kind: 'final', answer: stored };
    const refusal = this.#overQuota(now());
    if (refusal !== undefined) return this.#refused(request, refusal);
    const validation = validate(request.bodyText, models);
    if (!validation.valid) {
      return this.#refused(request, taskError(400, 'invalid_request', validation.message));
    }
    const { body } = validation;
    const fault = chosen ?? rules.atBody('create', body.prompt) ?? this.#rated(request.number);
    const kind = fault && faultKind(fault);
    if (kind?.behaviour.does === 'answer' && isRefusal(kind)) {
      this.#remember(request, body);
      return this.#refused(request, kind.behaviour.answer(now()));
    }
    return { kind: 'admitted', fault, accept: () => this.#accept(request, body, fault) };
  }

  #accept(request: CreateRequest, body: AcceptedCreate['body'], fault: ChosenFault | undefined): Answer {
    const { record, now, onAccept } = this.#options;
    const create: AcceptedCreate = {
      taskId: newTaskId(),
      at: now(),
      body,
      bodyText: request.bodyText,
      authorization: request.authorization,
      contentType: request.contentType,
      idempotencyKey: request.idempotencyKey,
      answered: fault === undefined || arrives(fault) ? 'sent' : 'lost',
      requestNumber: request.number,
    };
    if (fault?.created === false) {
      this.#remember(request, body);
      return success(create);
    }
    record.append(create);
    if (this.#left !== null) this.#left = Math.max(0, this.#left - 1);
    onAccept();
    return success(create);
  }

  #remember({ number: requestNumber }: CreateRequest, body: AcceptedCreate['body']): void {
    const { prompt, model, duration = 5 } = body;
    this.refused.push({ requestNumber, at: this.#options.now(), prompt, model, duration });
  }

  #overQuota(time: number): Answer | undefined {
    const { settings, tasks } = this.#options;
    const { requestsPerSecond, runningTasks, throttle } = settings();
    const tooMany = runningTasks?.mode === 'refuse' && tasks.unfinished(time) >= runningTasks.limit;
    if (tooMany || (requestsPerSecond !== null && !this.#letsThrough(requestsPerSecond, time))) {
      const { behaviour } = faultKind(throttle);
      if (behaviour.does === 'answer') return behaviour.answer(time);
    }
    return this.#left === 0
      ? taskError(403, 'insufficient_user_quota', 'user quota is not enough')
      : undefined;
  }

  #letsThrough(perSecond: number, time: number): boolean {
    this.#letThrough = this.#letThrough.filter((at) => at > time - 1000);
    if (this.#letThrough.length >= perSecond) return false;
    this.#letThrough.push(time);
    return true;
  }

  #rated(number: number): ChosenFault | undefined {
    return faultAt(this.#options.settings().faults, draw(this.#options.seed, 'fault', number));
  }

  #refused(request: CreateRequest, answer: Answer): Final {
    const { idempotencyKey: key } = request;
    if (key !== null && this.#options.settings().honourIdempotency) this.#refusals.set(key, answer);
    return { kind: 'final', answer };
  }

  #stored(key: string | null): Answer | undefined {
    const { settings, record } = this.#options;
    if (key === null || !settings().honourIdempotency) return undefined;
    const create = record.findByKey(key);
    return create === undefined ? this.#refusals.get(key) : success(create);
  }
}

/** The gateway's refusal of a key that is not one of its own. */
export function badKey(): Answer {
  return gatewayError(401, 'invalid_api_key', 'Invalid token');
}

function success(create: AcceptedCreate): Answer {
  return created({ taskId: create.taskId, model: create.body['model'], at: create.at });
}

/** Whether the task id reaches a client that is patient. */
function arrives(fault: ChosenFault): boolean {
  const { does } = faultKind(fault).behaviour;
  return does === 'slow' || does === 'close' || does === 'leave';
}
