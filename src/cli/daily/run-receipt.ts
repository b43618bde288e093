import { isOverspent } from '../../batch/budget.ts';
import type { Produced } from '../../batch/producer.ts';
import type { Logger } from '../../core/log.ts';
import { quoted } from '../../core/text.ts';
import type { TellTime } from '../../core/time/tell-time.ts';
import { either, formatCount, plural } from '../../core/units.ts';
import { within } from '../../core/within.ts';
import type { Queryable } from '../../database/database.ts';
import { untilLedgerAnswers } from '../../database/outage.ts';
import { findBatch, type Batch } from '../../ledger/batches.ts';
import { readFailReasons } from '../../ledger/operator/retry-failed-tasks.ts';
import { readCommonestReason, type Reason } from '../../ledger/read/batch-numbers.ts';
import { columnsJson } from '../../manifest/columns.ts';
import { formatFailedTasks, receipt, summarise, type Summary } from '../../operate/summary.ts';
import type { App } from '../../worker/app.ts';
import type { Io } from '../output/io.ts';

/** How a batch of this run ended. */
interface Receipt extends Summary {
  columns: Produced['columns'];
  /** What to do about rows that failed. */
  hints: readonly string[];
}

/** An interrupted command waits this long for its receipt. Counting ten million rows takes about as long. */
const RECEIPT_MS = 10_000;

/** Reads the receipts. An interrupted command does not wait for a ledger that is away. `tell`: how reasons tell moments. */
export async function readReceipts(
  { app, log, signal, tell }: { app: App; log: Logger; signal: AbortSignal; tell: TellTime | undefined },
  produced: readonly Produced[],
  origin: string | undefined,
  io: Io,
): Promise<Receipt[]> {
  const readAll = async (): Promise<Receipt[]> => {
    const receipts: Receipt[] = [];
    for (const { batch, columns } of produced) {
      const read = async (): Promise<Receipt> => {
        // The batch may have been stopped, paused or cancelled since it was submitted.
        const now = (await findBatch(app.db, batch.name)) ?? batch;
        const summary = await summarise(app.db, now, origin, tell);
        return { ...summary, columns, hints: await readHints(app.db, now, summary) };
      };
      receipts.push(await untilLedgerAnswers('receipt', log, read, signal));
    }
    return receipts;
  };
  if (!signal.aborted) return readAll();
  const none = (): Receipt[] => {
    io.err('no receipt: the ledger does not answer; `vidbatch status` shows it when it does');
    return [];
  };
  return within(RECEIPT_MS, readAll().catch(none), none);
}

/** One line for each state in which rows definitely failed: how many, the commonest reason, and what to do next. */
async function readHints(db: Queryable, batch: Batch, { counts, gates }: Summary): Promise<string[]> {
  const lines: string[] = [];
  const known = gates.map(({ reason }) => reason).join('\n');
  const { exhausted, rejected } = counts;
  if (exhausted > 0) {
    const why = formatReason(await readCommonestReason(db, batch.id, 'exhausted'), exhausted, known);
    lines.push(
      `${plural(exhausted, 'exhausted row was', 'exhausted rows were')} never accepted, tries used up${why}; \`vidbatch retry ${quoted(batch.name)}\` makes ${exhausted === 1 ? 'it' : 'them'} pending again`,
    );
  }
  if (rejected > 0) {
    const why = formatReason(await readCommonestReason(db, batch.id, 'rejected'), rejected, known);
    const [content, them] = rejected === 1 ? ['its content', 'it'] : ['their content', 'them'];
    lines.push(
      `${plural(rejected, 'rejected row was', 'rejected rows were')} refused for ${content}${why}; correct ${them} and run again`,
    );
  }
  if (counts.submitted > 0) {
    const failed = formatFailedTasks(batch.name, await readFailReasons(db, batch.id));
    if (failed !== undefined) lines.push(failed);
  }
  return lines;
}

/** ` (3 of them: ECONNREFUSED: api.example.com refuses connections)`, without a message that is `known` from a gate. */
function formatReason(reason: Reason | undefined, total: number, known: string): string {
  if (reason === undefined) return '';
  const { rows, code, httpStatus, message } = reason;
  const cause = [code, httpStatus === null ? null : `HTTP ${httpStatus}`].filter((part) => part !== null);
  const news = message === null || known.includes(message) ? '' : message;
  const text = [cause.join(', '), news].filter((part) => part !== '').join(': ');
  if (text === '') return '';
  return rows === total ? ` (${text})` : ` (${formatCount(rows)} of them: ${text})`;
}

/** What a person does after an interrupted command. `hasSent`: it had begun to send rows. */
export function printInterrupted(receipts: readonly Receipt[], hasSent: boolean, io: Io): void {
  if (!hasSent) {
    for (const { batch, rows } of receipts)
      io.err(
        `interrupted: ${batch} is submitted (${plural(rows, 'row')}), and this command sent nothing; the same command continues`,
      );
    return;
  }
  const isSendable = ({ counts, gates }: Summary): boolean => counts.pending > 0 && gates.length === 0;
  if (io.interactive && receipts.some(isSendable))
    io.err('interrupted: the same command continues with the pending rows');
}

export function printReceipts(receipts: readonly Receipt[], json: boolean, io: Io): void {
  for (const { columns, hints, ...summary } of receipts) {
    if (json) {
      io.out(JSON.stringify({ ...summary, ...columnsJson(columns) }));
      continue;
    }
    for (const line of [...formatAttention(summary), ...hints]) io.err(`${summary.batch}: ${line}`);
    io.out(receipts.length > 1 ? `${summary.batch}: ${receipt(summary)}` : receipt(summary));
  }
  if (!json) printNextStep(receipts, io);
}

/** What keeps rows waiting, and what a person must look at. */
function formatAttention({ batch, gates, counts, budget }: Summary): string[] {
  const uncertain = plural(
    counts.uncertain,
    'uncertain row may have been accepted and is',
    'uncertain rows may have been accepted and are',
  );
  return [
    ...gates.map(({ gate, reason }) => `${gate}: ${reason}`),
    ...(counts.uncertain === 0
      ? []
      : [
          `${uncertain} not sent again; \`vidbatch uncertain ${quoted(batch)}\` shows what is known about ${either(counts.uncertain, 'it', 'them')}`,
        ]),
    ...(budget !== null && isOverspent(budget) ? [`MORE WAS SPENT THAN THE BUDGET: ${budget.told}`] : []),
  ];
}

/** The next command, once there is a task to follow. */
function printNextStep(receipts: readonly Receipt[], io: Io): void {
  const names = receipts.filter(({ taskIds }) => taskIds > 0).map(({ batch }) => quoted(batch));
  const [name] = names;
  if (name === undefined) return;
  const watch = names.length === 1 ? `vidbatch reconcile ${name} --watch` : 'vidbatch reconcile --watch';
  const those = names.length === 1 ? 'them' : 'those of the first batch';
  io.err(`next: \`${watch}\` waits for the videos, \`vidbatch download ${name}\` fetches ${those}`);
}
