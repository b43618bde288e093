/**
 * The room `operate` tells an operator how things stand: status, report, explain, verify, doctor and metrics.
 * It may import schedule, worker, results, batch, manifest, provider, ledger, database and core.
 */
import type { Batch } from '../ledger/batch.ts';
import { countStates, countSurplus, isPaused } from '../ledger/batch.ts';
import { priceHint, purseJson, raiseHint } from '../batch/budget.ts';
import { readBudget, readPurse } from '../ledger/budget.ts';
import type { Purse } from '../ledger/budget.ts';
import type { Queryable } from '../database/database.ts';
import { pausedBy } from '../ledger/pause.ts';
import { openHalts, providerStatus } from '../ledger/send/provider.ts';
import type { SubmissionView } from '../ledger/read/read.ts';
import { countRemade } from '../ledger/remake.ts';
import { countWaiting, readWindows } from '../ledger/send/window.ts';
import type { KnownWindow, Waiting } from '../ledger/send/window.ts';
import { isOffPeak } from '../core/model.ts';
import { quoted } from '../core/shell-word.ts';
import type { Gate, Summary } from './summary.ts';
import { count, duration } from '../core/format.ts';
import { totalOf } from './summary.ts';

/** Reads where a batch stands. `origin`: the provider of this configuration, if there is one. */
export async function summarise(db: Queryable, batch: Batch, origin?: string): Promise<Summary> {
  const counts = await countStates(db, batch.id);
  const purse = await readPurse(db, batch.id);
  return {
    batch: batch.name,
    source: batch.source,
    priority: batch.priority,
    rows: totalOf(counts),
    counts,
    taskIds: counts.submitted,
    surplus: await countSurplus(db, batch.id),
    remade: await countRemade(db, batch.id),
    gates: counts.pending + counts.submitting === 0 ? [] : await gatesOf(db, batch, purse, origin),
    budget: purse === undefined ? null : purseJson(purse),
  };
}

/** Every shut gate of a batch. */
export async function readGates(db: Queryable, batch: Batch, origin?: string): Promise<Gate[]> {
  return gatesOf(db, batch, await readPurse(db, batch.id), origin);
}

/** Every shut gate of a row that waits. */
export async function readGatesOf(
  db: Queryable,
  batch: Batch,
  row: Pick<SubmissionView, 'model' | 'price'>,
  origin?: string,
): Promise<Gate[]> {
  const gates = (await readGates(db, batch, origin)).filter((gate) => concerns(gate, row));
  const budget = await readBudget(db, batch.id);
  if (budget === null || row.price?.currency === budget.currency) return gates;
  // Others of its batch may go; this one may not, however high the budget is.
  const reason = `its price is not known, and its batch has a budget; ${priceHint(batch)}`;
  return [...gates.filter(({ gate }) => gate !== 'budget'), { gate: 'budget', reason }];
}

/** A gate of other rows of its batch is none of this one. */
function concerns({ gate, only }: Gate, { model }: Pick<SubmissionView, 'model'>): boolean {
  return gate !== 'not-before' && (only === undefined || (model !== null && isOffPeak(model)));
}

async function gatesOf(
  db: Queryable,
  batch: Batch,
  purse: Purse | undefined,
  origin: string | undefined,
): Promise<Gate[]> {
  const gates: Gate[] = [];
  if (await isPaused(db)) {
    const by = told(await pausedBy(db, null));
    gates.push({ gate: 'paused', reason: `everything is paused; \`vidbatch resume\` goes on${by}` });
  }
  if (batch.state === 'paused') {
    const by = told(await pausedBy(db, batch.id));
    gates.push({
      gate: 'paused',
      reason: `the batch is paused; \`vidbatch resume ${quoted(batch.name)}\` goes on${by}`,
    });
  }
  if (batch.state === 'stopped') {
    gates.push({
      gate: 'stopped',
      reason: `${readable(batch.stopReason ?? 'it stopped itself')}; \`vidbatch report ${quoted(batch.name)}\` names the rows: correct the manifest and submit it again, or \`vidbatch resume ${quoted(batch.name)}\` goes on`,
    });
  }
  if (batch.state === 'cancelled') {
    gates.push({
      gate: 'cancelled',
      reason: `the batch was cancelled; \`vidbatch retry ${quoted(batch.name)}\` takes it up again`,
    });
  }
  if (purse?.reached === true) {
    const { told } = purseJson(purse);
    gates.push({
      gate: 'budget',
      reason:
        purse.unpriced === purse.beyond
          ? `the price of what is left is not known, and the batch has a budget of ${told}; ${priceHint(batch)}`
          : `nothing that is left fits the budget of ${told}; ${raiseHint(batch, purse)}`,
    });
  }
  gates.push(...(await readTimes(db, batch)));
  if (batch.origin === null) return gates;
  if (origin !== undefined && origin !== batch.origin) {
    gates.push({
      gate: 'other-provider',
      reason: `this batch is for ${batch.origin}, and VIDBATCH_BASE_URL here is ${origin}; only workers of ${batch.origin} send it`,
    });
  }
  const provider = await providerStatus(db, batch.origin);
  const halt = (await openHalts(db)).find((one) => one.origin === batch.origin);
  const reason =
    halt === undefined
      ? ''
      : `${halt.code}${halt.httpStatus === null ? '' : ` (HTTP ${halt.httpStatus})`}: ${halt.reason}`;
  if (provider?.state === 'halted') {
    gates.push({
      gate: 'halted',
      reason: `${reason || 'the provider is halted'}; put it right (${batch.origin}), then \`vidbatch resume\`, \`run\` or \`work\` tries one row`,
    });
  }
  if (provider?.state === 'probing') {
    const silent = `${count(provider.unreached)} tries in a row reached nobody at ${batch.origin}`;
    gates.push({
      gate: 'trying',
      reason: `one row at a time until one is accepted, after ${reason || (provider.unreached > 0 ? silent : 'a halt')}`,
    });
  }
  if (provider !== undefined && provider.throttledMs > 0) {
    const wait = `another ${duration(provider.throttledMs)}`;
    gates.push({
      gate: 'throttled',
      reason:
        provider.unreached > 0
          ? `nobody answers: tried again in ${duration(provider.throttledMs)}`
          : `the provider asked to wait for ${wait}`,
    });
  }
  return gates;
}

/** `row k-1 failed …: {"code":400,"message":"too long"}` → the provider's words without its JSON. */
function readable(reason: string): string {
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
function told(paused: Awaited<ReturnType<typeof pausedBy>>): string {
  if (paused === undefined) return '';
  return ` (${paused.who === null ? '' : `${paused.who}, `}${paused.at.toISOString()})`;
}

/** The gates that open, or have shut, by themselves. */
async function readTimes(db: Queryable, batch: Batch): Promise<Gate[]> {
  const waiting = await countWaiting(db, batch.id);
  const windows = await readWindows(db, batch.id);
  const gates: Gate[] = [];
  const shut = (window: KnownWindow | undefined, rows: number, only?: 'off-peak'): void => {
    if (window === undefined || window.open || rows === 0) return;
    const when =
      window.opensAt === null ? 'when it opens is not known' : `it opens ${moment(window.opensAt, waiting)}`;
    gates.push({
      gate: 'window',
      reason: `${rowsOf(rows, only === undefined ? '' : 'off-peak ')} for ${only === undefined ? 'the' : 'their'} window ${window.text}: ${when}`,
      ...(only === undefined ? {} : { only }),
      ...(window.opensAt === null ? {} : { opensAt: window.opensAt.toISOString() }),
    });
  };
  shut(windows.batch, waiting.rows);
  shut(windows.offPeak, waiting.offPeak, 'off-peak');
  if (batch.deadline !== null && batch.onDeadline === 'fail' && batch.deadline <= waiting.now) {
    gates.push({
      gate: 'deadline',
      reason: `its deadline ${timeOf(batch.deadline)} is over, and it shall not be sent late; submit it again with another --deadline, or none`,
    });
  }
  if (waiting.firstDue !== null) {
    gates.push({
      gate: 'not-before',
      reason: `${rowsOf(waiting.notDue, '')} for a time of their own, the first ${moment(waiting.firstDue, waiting)}`,
      opensAt: waiting.firstDue.toISOString(),
    });
  }
  return gates;
}

function rowsOf(rows: number, what: string): string {
  return rows === 1 ? `1 ${what}row waits` : `${count(rows)} ${what}rows wait`;
}

/** `at 2026-11-25T15:00:00Z, in 3h 20m` */
function moment(at: Date, { now }: Pick<Waiting, 'now'>): string {
  return `at ${timeOf(at)}, in ${duration(at.getTime() - now.getTime())}`;
}

function timeOf(at: Date): string {
  return at.toISOString().replace(/\.\d+Z$/, 'Z');
}
