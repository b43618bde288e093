import { priceHint, budgetJson, raiseHint } from '../batch/budget.ts';
import { VidbatchError } from '../core/errors.ts';
import { isOffPeak } from '../core/model.ts';
import { quoted } from '../core/text.ts';
import { nextOpening, parseWindow } from '../core/time/window.ts';
import { formatCount, formatDuration, plural } from '../core/units.ts';
import type { Queryable } from '../database/database.ts';
import type { Batch } from '../ledger/batches.ts';
import { readBudgetStatus, readBudget } from '../ledger/money/budget.ts';
import { readPausedBy } from '../ledger/operator/pause.ts';
import type { SubmissionView } from '../ledger/read/rows.ts';
import { readShutGates } from '../ledger/send/blocked.ts';
import type { ShutGate } from '../ledger/send/blocked.ts';
import { openHalts, providerStatus } from '../ledger/send/provider.ts';
import { countWaiting, readWindows } from '../ledger/send/window.ts';
import type { Waiting } from '../ledger/send/window.ts';

/** A gate: one reason why rows of a batch wait. */
export interface Gate {
  gate:
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
  /** When it opens, RFC 3339; undefined: not known. */
  opensAt?: string;
}

/** Every gate of a batch: what keeps its rows from being sent, and what slows them down. */
export async function readGates(db: Queryable, batch: Batch, origin?: string): Promise<Gate[]> {
  const waiting = await countWaiting(db, batch.id);
  const gates: Gate[] = [];
  for (const shut of await readShutGates(db, batch.id)) {
    const gate = await gateOf(shut, db, batch, waiting);
    if (gate !== undefined) gates.push(gate);
  }
  if (waiting.firstDue !== null) {
    gates.push({
      gate: 'not-before',
      reason: `${rowsWait(waiting.notDue, '')} for their own not_before time, the first ${moment(waiting.firstDue, waiting)}`,
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
    const halt = await haltOf(db, batch.origin);
    gates.push({
      gate: 'trying',
      reason: `one row at a time until one is accepted, after ${halt ?? (provider.unreached > 0 ? silent : 'a halt')}`,
    });
  }
  return gates;
}

/** One gate of the ledger, and what a person can do about it. Undefined: it concerns no row, or another line says it. */
async function gateOf(
  shut: ShutGate,
  db: Queryable,
  batch: Batch,
  waiting: Waiting,
): Promise<Gate | undefined> {
  const name = quoted(batch.name);
  switch (shut) {
    case 'cancelled':
      return {
        gate: 'cancelled',
        reason: `the batch was cancelled; \`vidbatch retry ${name}\` makes its rows pending again`,
      };
    case 'all-paused': {
      const by = formatPauser(await readPausedBy(db, null));
      return { gate: 'paused', reason: `everything is paused; \`vidbatch resume\` continues${by}` };
    }
    case 'paused': {
      const by = formatPauser(await readPausedBy(db, batch.id));
      return { gate: 'paused', reason: `the batch is paused; \`vidbatch resume ${name}\` continues${by}` };
    }
    case 'stopped':
      return {
        gate: 'stopped',
        reason: `${formatStopReason(batch.stopReason ?? 'it stopped itself')}; \`vidbatch report ${name}\` names the rows: correct the manifest and submit it again, or \`vidbatch resume ${name}\` continues as it is`,
      };
    case 'halted': {
      const halt = await haltOf(db, batch.origin);
      return {
        gate: 'halted',
        reason: `${halt ?? 'the provider is halted'}; correct the cause (${batch.origin}), then \`vidbatch resume\`, \`run\` or \`work\` tries one row`,
      };
    }
    case 'expired':
      return {
        gate: 'deadline',
        reason: `its deadline${batch.deadline === null ? '' : ` ${timeOf(batch.deadline)}`} is over, and it must not be sent late; submit it again with another --deadline, or none`,
      };
    case 'window':
    case 'off-peak-window':
      return windowGate(shut === 'off-peak-window', db, batch, waiting);
    case 'budget':
      return budgetGate(db, batch);
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

async function windowGate(
  offPeak: boolean,
  db: Queryable,
  batch: Batch,
  waiting: Waiting,
): Promise<Gate | undefined> {
  const windows = await readWindows(db, batch.id);
  const rows = offPeak ? waiting.offPeak : waiting.rows;
  const text = offPeak ? windows.offPeak : windows.batch;
  if (rows === 0 || text === null) return undefined;
  const opensAt = opensNext(text, waiting);
  const when = opensAt === undefined ? 'when it opens is not known' : `it opens ${moment(opensAt, waiting)}`;
  return {
    gate: 'window',
    reason: `${rowsWait(rows, offPeak ? 'off-peak ' : '')} for ${offPeak ? 'their' : 'the'} window ${text}: ${when}`,
    ...(offPeak ? { only: 'off-peak' } : {}),
    ...(opensAt === undefined ? {} : { opensAt: opensAt.toISOString() }),
  };
}

/** A new budget is also shut until a worker has counted what the batch holds, which is not shown. */
async function budgetGate(db: Queryable, batch: Batch): Promise<Gate | undefined> {
  const status = await readBudgetStatus(db, batch.id);
  if (status?.reached !== true) return undefined;
  const { told: budget } = budgetJson(status);
  return {
    gate: 'budget',
    reason:
      status.unpriced === status.beyond
        ? `the price of the remaining rows is not known, and the batch has a budget of ${budget}; ${priceHint(batch)}`
        : `no remaining row fits the budget of ${budget}; ${raiseHint(batch, status)}`,
  };
}

/** `NO_BALANCE (HTTP 402): …` */
async function haltOf(db: Queryable, origin: string | null): Promise<string | undefined> {
  const halt = (await openHalts(db)).find((one) => one.origin === origin);
  return (
    halt && `${halt.code}${halt.httpStatus === null ? '' : ` (HTTP ${halt.httpStatus})`}: ${halt.reason}`
  );
}

/** `row k-1 failed …: {"code":400,"message":"too long"}` becomes the provider's words without its JSON. */
function formatStopReason(reason: string): string {
  const at = reason.indexOf('{');
  if (at === -1) return reason;
  try {
    const body = JSON.parse(reason.slice(at)) as Record<string, unknown>;
    const said = ['message', 'reason', 'msg', 'code'].map((name) => body[name]);
    const words = said.find((one) => typeof one === 'string' && one !== '');
    return typeof words === 'string' ? `${reason.slice(0, at)}${words}` : reason;
  } catch {
    return reason;
  }
}

/** ` (anna@desk, 2026-01-31T12:00:00.000Z)` */
function formatPauser(paused: Awaited<ReturnType<typeof readPausedBy>>): string {
  if (paused === undefined) return '';
  return ` (${paused.who === null ? '' : `${paused.who}, `}${paused.at.toISOString()})`;
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
function moment(at: Date, { now }: Pick<Waiting, 'now'>): string {
  return `at ${timeOf(at)}, in ${formatDuration(at.getTime() - now.getTime())}`;
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
): Promise<Gate[]> {
  const gates = (await readGates(db, batch, origin)).filter((gate) => concerns(gate, row));
  const budget = await readBudget(db, batch.id);
  if (budget === null || row.price?.currency === budget.currency) return gates;
  // Other rows of the batch may be sent. This one may not, however high the budget is.
  const reason = `its price is not known, and its batch has a budget; ${priceHint(batch)}`;
  return [...gates.filter(({ gate }) => gate !== 'budget'), { gate: 'budget', reason }];
}

/** Whether a gate of the batch concerns this row. */
function concerns({ gate, only }: Gate, { model }: Pick<SubmissionView, 'model'>): boolean {
  return gate !== 'not-before' && (only === undefined || (model !== null && isOffPeak(model)));
}
