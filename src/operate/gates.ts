import { priceHint, budgetJson, raiseHint } from '../batch/budget.ts';
import { VidbatchError } from '../core/errors.ts';
import { isOffPeak } from '../core/model.ts';
import { oneLine, quoted } from '../core/text.ts';
import { tellUtc, type TellTime } from '../core/time/tell-time.ts';
import { nextOpening, parseWindow } from '../core/time/window.ts';
import { formatCount, formatDistance, formatDuration, plural } from '../core/units.ts';
import type { Queryable } from '../database/database.ts';
import type { Batch } from '../ledger/batches.ts';
import { closedHint, formatClosed, readClosed } from '../ledger/closed.ts';
import { readBudgetStatus, readBudget } from '../ledger/money/budget.ts';
import { EVERYTHING, readPause, type Paused } from '../ledger/operator/pause.ts';
import { readPausedModels, type PausedModel } from '../ledger/operator/pause-model.ts';
import type { SubmissionView } from '../ledger/read/rows.ts';
import { readShutGates, type ShutGate } from '../ledger/send/blocked.ts';
import { openHalts, providerStatus, type Halt } from '../ledger/send/provider.ts';
import { countWaiting, readWindows, type Waiting } from '../ledger/send/window.ts';

/** A gate: one reason why rows of a batch wait. */
export interface Gate {
  gate:
    | 'closed'
    | 'paused'
    | 'cancelled'
    | 'halted'
    | 'stopped'
    | 'throttled'
    | 'other-provider'
    | 'trying'
    | 'window'
    | 'not-before'
    | 'deadline'
    | 'budget';
  reason: string;
  /** It concerns only these rows of the batch. */
  only?: 'off-peak';
  /** It concerns only rows of this model. */
  model?: string;
  /** What an operator paused: this batch, or all of them. */
  scope?: 'batch' | 'all';
  /** When it opens, RFC 3339; undefined: not known. */
  opensAt?: string;
}

/**
 * Every gate of a batch: what keeps its rows from being sent, and what slows them down. `tell`: how reasons tell moments;
 * by default in UTC.
 */
export async function readGates(
  db: Queryable,
  batch: Batch,
  origin?: string,
  tell?: TellTime,
): Promise<Gate[]> {
  const waiting = await countWaiting(db, batch.id);
  const gates: Gate[] = [];
  for (const shut of await readShutGates(db, batch.id)) {
    if (shut === 'model-paused') {
      gates.push(...(await readPausedModels(db, batch.id)).map((paused) => modelGate(batch, paused, tell)));
      const budget = await budgetGate(db, batch, 'beside-paused');
      if (budget !== undefined) gates.push(budget);
      continue;
    }
    const gate = await gateOf(shut, db, batch, waiting, tell);
    if (gate !== undefined) gates.push(gate);
  }
  if (waiting.firstDue !== null) {
    gates.push({
      gate: 'not-before',
      reason: `${rowsWait(waiting.notDue, '')} for their own not_before time, the first ${moment(waiting.firstDue, waiting, tell)}`,
      opensAt: waiting.firstDue.toISOString(),
    });
  }
  if (batch.origin === null) return gates;
  if (origin !== undefined && origin !== batch.origin) {
    gates.push({
      gate: 'other-provider',
      reason: `this batch is for ${batch.origin}, and VIDBATCH_BASE_URL here is ${origin}; only workers of ${batch.origin} send it`,
    });
  }
  const provider = await providerStatus(db, batch.origin);
  if (provider?.state === 'probing') {
    const silent = `${formatCount(provider.unreached)} tries in a row did not reach ${batch.origin}`;
    const halt = await findHalt(db, batch.origin);
    gates.push({
      gate: 'trying',
      reason: `one row at a time until one is accepted, after ${halt !== undefined ? formatHalt(halt) : provider.unreached > 0 ? silent : 'a halt'}`,
    });
  }
  return gates;
}

/** One gate of the ledger, and what a person can do about it. Undefined: it concerns no row, or another line says it. */
async function gateOf(
  shut: Exclude<ShutGate, 'model-paused'>,
  db: Queryable,
  batch: Batch,
  waiting: Waiting,
  tell: TellTime | undefined,
): Promise<Gate | undefined> {
  const name = quoted(batch.name);
  switch (shut) {
    case 'cancelled':
      return {
        gate: 'cancelled',
        reason: `the batch was cancelled; \`vidbatch retry ${name}\` makes its rows pending again`,
      };
    case 'closed': {
      const closed = await readClosed(db);
      return closed && { gate: 'closed', reason: `${formatClosed(closed)}. ${closedHint(closed)}` };
    }
    case 'all-paused': {
      const by = formatPauser(await readPause(db, 'pause', null, EVERYTHING), tell);
      return {
        gate: 'paused',
        reason: `everything is paused; \`vidbatch resume\` continues${by}`,
        scope: 'all',
      };
    }
    case 'paused': {
      const by = formatPauser(await readPause(db, 'pause', batch.id, batch.name), tell);
      return {
        gate: 'paused',
        reason: `the batch is paused; \`vidbatch resume ${name}\` continues${by}`,
        scope: 'batch',
      };
    }
    case 'stopped':
      return {
        gate: 'stopped',
        reason: `${batch.stopReason ?? 'it stopped itself'}; \`vidbatch report ${name}\` names the rows: correct the manifest and submit it again, or \`vidbatch resume ${name}\` continues as it is`,
      };
    case 'halted': {
      const halt = await findHalt(db, batch.origin);
      return {
        gate: 'halted',
        reason: `${formatHalted(halt, batch.origin)}, then \`vidbatch resume\`, \`run\` or \`work\` tries one row`,
      };
    }
    case 'expired':
      return {
        gate: 'deadline',
        reason: `its deadline${batch.deadline === null ? '' : ` ${(tell ?? timeOf)(batch.deadline)}`} is over, and it must not be sent late; submit it again with another --deadline, or none`,
      };
    case 'window':
    case 'off-peak-window':
      return windowGate(shut === 'off-peak-window', db, batch, waiting, tell);
    case 'budget':
      return budgetGate(db, batch, 'all');
    case 'throttled': {
      const { throttledMs = 0, unreached = 0 } = (await providerStatus(db, batch.origin ?? '')) ?? {};
      const wait = formatDuration(throttledMs);
      return {
        gate: 'throttled',
        reason:
          unreached > 0
            ? `the provider does not answer; the next try is in ${wait}`
            : `the provider asked to wait another ${wait}`,
      };
    }
    case 'alone':
      return undefined;
  }
}

function modelGate(
  { name }: Batch,
  { model, inBatch, rows, ...paused }: PausedModel,
  tell: TellTime | undefined,
): Gate {
  const where = inBatch ? 'in this batch' : 'in all batches';
  const command = `vidbatch resume ${inBatch ? `${quoted(name)} ` : ''}--model ${quoted(model)}`;
  return {
    gate: 'paused',
    reason: `model ${model} is paused ${where}, and ${rowsWait(rows, '')} for it; \`${command}\` continues${formatPauser(paused, tell)}`,
    model,
    scope: inBatch ? 'batch' : 'all',
  };
}

async function windowGate(
  offPeak: boolean,
  db: Queryable,
  batch: Batch,
  waiting: Waiting,
  tell: TellTime | undefined,
): Promise<Gate | undefined> {
  const windows = await readWindows(db, batch.id);
  const rows = offPeak ? waiting.offPeak : waiting.rows;
  const text = offPeak ? windows.offPeak : windows.batch;
  if (rows === 0 || text === null) return undefined;
  const opensAt = opensNext(text, waiting);
  const when =
    opensAt === undefined ? 'when it opens is not known' : `it opens ${moment(opensAt, waiting, tell)}`;
  return {
    gate: 'window',
    reason: `${rowsWait(rows, offPeak ? 'off-peak ' : '')} for ${offPeak ? 'their' : 'the'} window ${text}: ${when}`,
    ...(offPeak ? { only: 'off-peak' } : {}),
    ...(opensAt === undefined ? {} : { opensAt: opensAt.toISOString() }),
  };
}

/**
 * `all`: no row fits the budget. `beside-paused`: rows of paused models fit, and no other row does. A new budget is also shut
 * until a worker has counted what the batch holds, which is not shown.
 */
async function budgetGate(
  db: Queryable,
  batch: Batch,
  rows: 'all' | 'beside-paused',
): Promise<Gate | undefined> {
  const status = await readBudgetStatus(db, batch.id);
  if (status === undefined || !(rows === 'all' ? status.reached : status.onlyPausedFit)) return undefined;
  const { told: budget } = budgetJson(status);
  const reason =
    status.unpriced === status.beyond
      ? `the price of the remaining rows is not known, and the batch has a budget of ${budget}; ${priceHint(batch)}`
      : `no remaining row${rows === 'all' ? '' : ' of a model that is not paused'} fits the budget of ${budget}; ${raiseHint(batch, status)}`;
  return { gate: 'budget', reason };
}

async function findHalt(db: Queryable, origin: string | null): Promise<Halt | undefined> {
  return (await openHalts(db)).find((one) => one.origin === origin);
}

/** `NO_BALANCE (HTTP 402)` */
export function formatHaltCode({ code, httpStatus }: Pick<Halt, 'code' | 'httpStatus'>): string {
  return `${code}${httpStatus === null ? '' : ` (HTTP ${httpStatus})`}`;
}

/** `NO_BALANCE (HTTP 402): …` */
export function formatHalt(halt: Pick<Halt, 'code' | 'httpStatus' | 'reason'>): string {
  return `${formatHaltCode(halt)}: ${halt.reason}`;
}

/** Why a provider is halted, and what a person corrects. */
function formatHalted(halt: Halt | undefined, origin: string | null): string {
  if (halt?.httpStatus === 401)
    return `${origin} refuses the API key (HTTP 401: ${halt.reason}); put the right key into VIDBATCH_API_KEY`;
  return `${halt === undefined ? 'the provider is halted' : formatHalt(halt)}; correct the cause (${origin})`;
}

/** ` (anna@desk, 2026-01-31T12:00:00.000Z: faces are blurred)` */
function formatPauser(paused: Paused | undefined, tell: TellTime = tellUtc): string {
  if (paused === undefined || paused.at === null) return '';
  const { at, who, why } = paused;
  return ` (${who === null ? '' : `${who}, `}${tell(at)}${why === null ? '' : `: ${oneLine(why, 200)}`})`;
}

/** When the window opens next; undefined: not known, for example because a newer vidbatch wrote the window. */
function opensNext(text: string, { now }: Pick<Waiting, 'now'>): Date | undefined {
  try {
    const at = nextOpening(parseWindow('the ledger', text), now.getTime());
    return at === undefined ? undefined : new Date(at);
  } catch (error) {
    if (error instanceof VidbatchError) return undefined;
    throw error;
  }
}

function rowsWait(rows: number, what: string): string {
  return plural(rows, `${what}row waits`, `${what}rows wait`);
}

/** `at 2026-11-25T15:00:00Z, in 3h 20m` */
function moment(at: Date, { now }: Pick<Waiting, 'now'>, tell: TellTime | undefined): string {
  const utc = (): string => `${timeOf(at)}, in ${formatDistance(at.getTime() - now.getTime())}`;
  return `at ${tell === undefined ? utc() : tell(at)}`;
}

function timeOf(at: Date): string {
  return at.toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Every gate of a pending row. */
export async function readRowGates(
  db: Queryable,
  batch: Batch,
  row: Pick<SubmissionView, 'model' | 'price'>,
  origin?: string,
  tell?: TellTime,
): Promise<Gate[]> {
  const gates = (await readGates(db, batch, origin, tell)).filter((gate) => concerns(gate, row));
  const budget = await readBudget(db, batch.id);
  if (budget === null || row.price?.currency === budget.currency) return gates;
  // Other rows of the batch may be sent. This one may not, however high the budget is.
  const reason = `its price is not known, and its batch has a budget; ${priceHint(batch)}`;
  return [...gates.filter(({ gate }) => gate !== 'budget'), { gate: 'budget', reason }];
}

/** Whether a gate of the batch concerns this row. */
function concerns({ gate, only, model: paused }: Gate, { model }: Pick<SubmissionView, 'model'>): boolean {
  if (gate === 'not-before' || (paused !== undefined && paused !== model)) return false;
  return only === undefined || (model !== null && isOffPeak(model));
}
