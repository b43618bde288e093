import type { Answer } from './answer.ts';
import type { Dialect } from './dialect.ts';
import type { RefusedCreate } from './provider-files.ts';
import { answerOf, faultKind, isRefusal, parseFaultName, type ChosenFault } from './fault.ts';
import type { AcceptedCreate, AcceptRecord, Stats } from './record.ts';
import { beforeBody, type Rules } from './fault-rules.ts';
import { draw, pickByRate } from './random.ts';
import type { Settings } from './settings.ts';
import type { Tasks } from './tasks.ts';
import type { Delays } from './http.ts';

/** The state that the parts of one simulator share. */
export interface SimulatorState {
  record: AcceptRecord;
  rules: Rules;
  tasks: Tasks;
  stats: Stats;
  delays: Delays;
  settings: () => Settings;
  dialect: Dialect;
  /** All random values follow from it. */
  seed: number;
  now: () => number;
}

/** A create that was read, without its key. */
interface CreateRequest {
  number: number;
  path: string;
  bodyText: string;
  contentType: string | null;
  idempotencyKey: string | null;
  authorization: boolean;
}

type Decision =
  /** A refusal, or the stored answer of an honoured Idempotency-Key. */
  | { kind: 'final'; answer: Answer }
  /** `accept` records the create, unless the fault says that none exists, and returns the success answer either way. */
  | { kind: 'admitted'; fault: ChosenFault | undefined; accept: () => Answer };

/** Decides about creates: refuse, break, or accept and record. It does not know sockets. */
export class Gateway {
  readonly #state: SimulatorState;
  /** Models that are accepted in addition to the documented ones. */
  readonly #models: readonly string[];
  /** The times of the create requests that the quota allowed in the last second. */
  #letThrough: number[] = [];
  /** The creates that the balance still pays for. */
  #left: number | null = null;
  /** Creates of this process that became no task. A bill may charge them by mistake. */
  readonly refused: RefusedCreate[] = [];
  /** Refusals by Idempotency-Key, while keys are honoured; accepted creates are found in the record. */
  readonly #refusals = new Map<string, Answer>();

  constructor(state: SimulatorState, models: readonly string[]) {
    this.#state = state;
    this.#models = models;
    this.balanceChanged();
  }

  /** Takes the balance of the settings. */
  balanceChanged(): void {
    this.#left = this.#state.settings().balance;
  }

  /** The fault of a create before its body is read. Throws for a bad header. */
  faultAtHead(number: number, header: string | undefined): ChosenFault | undefined {
    if (header !== undefined) return parseFaultName(header);
    const rated = this.#rated(number);
    return this.#state.rules.atHead() ?? (beforeBody(rated) ? rated : undefined);
  }

  /**
   * In the gateway's order: quota, balance, validation, fault. It is synchronous, so two creates never share the last place
   * or the last credit.
   */
  decide(request: CreateRequest, chosen: ChosenFault | undefined): Decision {
    const { dialect, rules, now } = this.#state;
    const stored = this.#stored(request.idempotencyKey);
    if (stored !== undefined) return { kind: 'final', answer: stored };
    const refusal = this.#overQuota(now());
    if (refusal !== undefined) return this.#refused(request, refusal);
    const validation = dialect.read(request.bodyText, request.path, this.#models);
    if (!validation.valid) return this.#refused(request, dialect.refuse('invalid', validation.message));
    const { body } = validation;
    const fault = chosen ?? rules.atBody('create', body.prompt) ?? this.#rated(request.number);
    const kind = fault && faultKind(fault);
    if (kind?.behaviour.does === 'answer' && isRefusal(kind)) {
      this.#remember(request, body);
      return this.#refused(request, answerOf(kind.behaviour, now(), dialect));
    }
    return { kind: 'admitted', fault, accept: () => this.#accept(request, body, fault) };
  }

  #accept(request: CreateRequest, body: AcceptedCreate['body'], fault: ChosenFault | undefined): Answer {
    const { dialect, record, now, stats } = this.#state;
    const create: AcceptedCreate = {
      taskId: dialect.newTaskId(),
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
      return dialect.created(create);
    }
    record.append(create);
    if (this.#left !== null) this.#left = Math.max(0, this.#left - 1);
    stats.count('accepted');
    return dialect.created(create);
  }

  #remember({ number: requestNumber }: CreateRequest, body: AcceptedCreate['body']): void {
    const { prompt, model, duration = 5 } = body;
    this.refused.push({ requestNumber, at: this.#state.now(), prompt, model, duration });
  }

  #overQuota(time: number): Answer | undefined {
    const { dialect, settings, tasks } = this.#state;
    const { requestsPerSecond, runningTasks, throttle } = settings();
    const tooMany = runningTasks?.mode === 'refuse' && tasks.unfinished(time) >= runningTasks.limit;
    if (tooMany || (requestsPerSecond !== null && !this.#letsThrough(requestsPerSecond, time))) {
      const { behaviour } = faultKind(throttle);
      if (behaviour.does === 'answer') return answerOf(behaviour, time, dialect);
    }
    return this.#left === 0 ? dialect.refuse('no-balance') : undefined;
  }

  #letsThrough(perSecond: number, time: number): boolean {
    this.#letThrough = this.#letThrough.filter((at) => at > time - 1000);
    if (this.#letThrough.length >= perSecond) return false;
    this.#letThrough.push(time);
    return true;
  }

  #rated(number: number): ChosenFault | undefined {
    return pickByRate(this.#state.settings().faults, draw(this.#state.seed, 'fault', number));
  }

  #refused(request: CreateRequest, answer: Answer): Decision {
    const { idempotencyKey: key } = request;
    if (key !== null && this.#state.settings().honourIdempotency) this.#refusals.set(key, answer);
    return { kind: 'final', answer };
  }

  #stored(key: string | null): Answer | undefined {
    const { dialect, settings, record } = this.#state;
    if (key === null || !settings().honourIdempotency) return undefined;
    const create = record.findByKey(key);
    return create === undefined ? this.#refusals.get(key) : dialect.created(create);
  }
}

/** Whether the task id reaches a client that waits long enough. */
function arrives(fault: ChosenFault): boolean {
  const { does } = faultKind(fault).behaviour;
  return does === 'slow' || does === 'close' || does === 'leave';
}
