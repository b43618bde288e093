import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { VidbatchError } from '../core/errors.ts';

/** One accepted create: the customer pays for it, also if the answer was lost. */
export interface AcceptedCreate {
  taskId: string;
  /** Milliseconds since 1970, by the simulator's clock. */
  at: number;
  body: Record<string, unknown> & { prompt: string };
  bodyText: string;
  /** Whether the request carried an Authorization header. The key itself is never kept. */
  authorization: boolean;
  contentType: string | null;
  idempotencyKey: string | null;
  /** `sent`: the answer with the task id was on its way; `lost`: a fault kept the id from the client. */
  answered: 'sent' | 'lost';
  /** The number of this create among all creates, from 1; it continues after a restart. */
  requestNumber: number;
}

/**
 * The append-only record, in memory and, with a file, as JSON Lines. `append` returns when the kernel has the line, so a
 * kill loses no answered create.
 */
export class AcceptRecord {
  readonly entries: AcceptedCreate[] = [];
  readonly #byTaskId = new Map<string, AcceptedCreate>();
  readonly #byKey = new Map<string, AcceptedCreate>();
  #file: number | undefined;

  /** Loads what the file already holds. Throws when a line of it is not an accepted create. */
  constructor(path?: string) {
    if (path === undefined) return;
    this.#file = openSync(path, 'a+', 0o600);
    try {
      this.#load(path, this.#file);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  append(create: AcceptedCreate): void {
    if (this.#file !== undefined) writeAll(this.#file, `${JSON.stringify(create)}\n`);
    this.#remember(create);
  }

  find(taskId: string): AcceptedCreate | undefined {
    return this.#byTaskId.get(taskId);
  }

  /** The first create that came with this Idempotency-Key. */
  findByKey(idempotencyKey: string): AcceptedCreate | undefined {
    return this.#byKey.get(idempotencyKey);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #load(path: string, file: number): void {
    // A device or a pipe has nothing to load, and may have no end.
    if (!fstatSync(file).isFile()) return;
    const bytes = readFileSync(path);
    const end = bytes.lastIndexOf(0x0a) + 1;
    // An unfinished line was written during a crash: its create was never answered.
    if (end < bytes.length) ftruncateSync(file, end);
    const lines = bytes.toString('utf8', 0, end).split('\n').slice(0, -1);
    lines.forEach((line, index) => this.#remember(readLine(line, `${path}:${index + 1}`)));
  }

  #remember(create: AcceptedCreate): void {
    this.entries.push(create);
    this.#byTaskId.set(create.taskId, create);
    const { idempotencyKey: key } = create;
    if (key !== null && !this.#byKey.has(key)) this.#byKey.set(key, create);
  }
}

/** writeSync may write less than it was given. */
function writeAll(file: number, line: string): void {
  const bytes = Buffer.from(line);
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
}

function readLine(line: string, where: string): AcceptedCreate {
  try {
    const create = JSON.parse(line) as Partial<AcceptedCreate>;
    if (typeof create.taskId === 'string' && typeof create.body?.prompt === 'string') {
      return create as AcceptedCreate;
    }
  } catch (cause) {
    throw new VidbatchError('simulator-record', `${where}: not JSON`, { cause });
  }
  throw new VidbatchError('simulator-record', `${where}: not an accepted create`);
}

/** Requests since the simulator was started. The record is separate, and survives a restart. */
export interface StatsReport {
  /** Every POST to the right path. */
  creates: number;
  /** Accepted creates, also those of the record file. */
  accepted: number;
  /** Creates by status; `none`: the client got no status. */
  byStatus: Record<string, number>;
  /** Questions about a task. */
  queries: number;
  /** GETs of a result. */
  results: number;
  /** Requests to a path or with a method that the provider does not have. */
  elsewhere: number;
  /** Most creates that were open at the same moment. */
  maxConcurrent: number;
}

type Milestone = Partial<Pick<StatsReport, 'creates' | 'accepted' | 'queries' | 'results' | 'elsewhere'>>;

export class Stats {
  readonly #report: StatsReport;
  #open = 0;
  #waiters: { milestone: Milestone; resolve: () => void }[] = [];

  constructor(accepted: number) {
    const zero = { creates: 0, queries: 0, results: 0, elsewhere: 0, maxConcurrent: 0 };
    this.#report = { ...zero, accepted, byStatus: {} };
  }

  report(): StatsReport {
    return { ...this.#report, byStatus: { ...this.#report.byStatus } };
  }

  count(what: keyof Milestone): void {
    this.#report[what] += 1;
    const ready = this.#waiters.filter(({ milestone }) => this.#passed(milestone));
    this.#waiters = this.#waiters.filter((waiter) => !ready.includes(waiter));
    for (const { resolve } of ready) resolve();
  }

  opened(): void {
    this.#open += 1;
    this.#report.maxConcurrent = Math.max(this.#report.maxConcurrent, this.#open);
  }

  closed(): void {
    this.#open -= 1;
  }

  answered(status: number | 'none'): void {
    const { byStatus } = this.#report;
    byStatus[status] = (byStatus[status] ?? 0) + 1;
  }

  /** Resolves when every given count is reached. */
  reached(milestone: Milestone): Promise<void> {
    if (this.#passed(milestone)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push({ milestone, resolve });
    });
  }

  #passed(milestone: Milestone): boolean {
    return Object.entries(milestone).every(([what, least]) => this.#report[what as keyof Milestone] >= least);
  }
}
