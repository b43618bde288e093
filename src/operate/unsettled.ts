import { oneLine, quoted } from '../core/text.ts';
import { tellUtc, type TellTime } from '../core/time/tell-time.ts';
import { formatCount, formatDistance, plural } from '../core/units.ts';
import type { Group, Risk } from '../ledger/read/uncertain-groups.ts';
import type { Heard, Unsettled } from '../ledger/read/uncertain.ts';
import { idempotencyKey } from '../worker/submit.ts';
import { REACHED } from './row-life.ts';
import { formatMost } from './stake.ts';

/** One line of the evidence, such as `deadline  2026-11-30T10:00:00.000Z, passed`. */
export interface EvidenceLine {
  name: 'from' | 'when' | 'deadline' | 'reached' | 'answer' | 'headers' | 'id' | 'body' | 'key' | 'request';
  text: string;
}

/** How many characters of a long text are shown. */
export interface Lengths {
  headers: number;
  body: number;
  request: number;
}

const ON_A_TERMINAL: Lengths = { headers: 600, body: 300, request: 1000 };

/** One row with everything known about it, for a terminal. */
export function formatUnsettled(row: Unsettled, ledgerId: string, tell: TellTime): string {
  const lines = evidenceOf(row, ledgerId, ON_A_TERMINAL, tell).map(
    ({ name, text }) => `  ${name.padEnd(9)} ${text}`,
  );
  return `${[`${row.batch} ${row.key}: ${formatHeadline(row)}`, ...lines].join('\n')}\n\n`;
}

function formatHeadline({ kind, taskId, surplus, attempts }: Unsettled): string {
  if (kind === 'surplus' && taskId === null)
    return `PAID BESIDE THE ROW, which has no task now: task ${surplus.join(', ')}`;
  if (kind === 'surplus') return `PAID TWICE: task ${taskId} and ${surplus.join(', ')}`;
  return `uncertain, after ${plural(attempts, 'attempt')}`;
}

/** Everything that a person needs to find a row in the provider's own list. Each text is one line, safe to print. */
export function evidenceOf(
  row: Unsettled,
  ledgerId: string,
  lengths: Lengths,
  tell: TellTime = tellUtc,
): EvidenceLine[] {
  return [
    { name: 'from', text: `${row.source}:${row.line}` },
    ...(row.attempt === null ? [] : attemptLines(row.attempt, lengths, tell)),
    { name: 'key', text: idempotencyKey(ledgerId, row) },
    { name: 'request', text: shortened(row.request, lengths.request) },
  ];
}

function attemptLines(attempt: Heard, lengths: Lengths, tell: TellTime): EvidenceLine[] {
  const { claimedAt, finishedAt, sweptAt } = attempt;
  const heard = finishedAt === null ? 'no answer' : `call ended ${tell(finishedAt, claimedAt)}`;
  const swept = sweptAt === null ? '' : `, judged ${tell(sweptAt, claimedAt)}`;
  const answer = [
    attempt.httpStatus === null ? undefined : `HTTP ${attempt.httpStatus}`,
    attempt.code,
    attempt.message,
  ].filter((part) => part !== undefined && part !== null);
  const headers = Object.entries(attempt.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
  const lines: (EvidenceLine | undefined)[] = [
    { name: 'when', text: `claimed ${tell(claimedAt)}, ${heard}${swept}` },
    { name: 'deadline', text: formatDeadline(attempt, tell) },
    { name: 'reached', text: `${attempt.phase}: ${formatReached(attempt)}` },
    answer.length === 0 ? undefined : { name: 'answer', text: answer.join(' · ') },
    headers.length === 0
      ? undefined
      : { name: 'headers', text: shortened(headers.join(' · '), lengths.headers) },
    attempt.requestId === null ? undefined : { name: 'id', text: attempt.requestId },
    attempt.body === null ? undefined : { name: 'body', text: shortened(attempt.body, lengths.body) },
  ];
  return lines.filter((line) => line !== undefined);
}

function formatDeadline({ deadline, deadlinePassed }: Heard, tell: TellTime): string {
  return `${tell(deadline)}${deadlinePassed ? ', passed' : '; until then the row cannot be called not sent'}`;
}

function formatReached({ phase, intendedAt }: Pick<Heard, 'phase' | 'intendedAt'>): string {
  if (phase === 'answered') return `${REACHED.answered}, which does not say whether the request was accepted`;
  if (phase !== 'none') return REACHED[phase];
  return intendedAt === null
    ? 'the worker died or answered too late, and its journal was not read'
    : 'the worker died; its journal holds the intent, so the request may have left';
}

/** The same for a program: times as RFC 3339, the request as JSON. */
export function unsettledJson(row: Unsettled, ledgerId: string): string {
  const { request, attempt, refusals: _refusals, submissionId: _id, ...rest } = row;
  return JSON.stringify({
    ...rest,
    idempotencyKey: idempotencyKey(ledgerId, row),
    attempt: attempt === null ? null : { ...attempt, reached: formatReached(attempt) },
    request: JSON.parse(request) as unknown,
  });
}

/** `ECONNRESET · sent` */
export function formatCause({
  code,
  httpStatus,
  phase,
}: Pick<Group, 'code' | 'httpStatus' | 'phase'>): string {
  const parts = [
    code,
    httpStatus === null ? null : `HTTP ${httpStatus}`,
    phase === 'none' ? 'no answer' : phase,
  ];
  return parts.filter((part) => part !== null).join(' · ');
}

/** `at most 17.60 CNY and 3.00 USD, and an unknown amount for 2 rows`; undefined: no price is known. */
export function formatAtRisk({ atRisk, unpriced }: Risk): string | undefined {
  return atRisk.length === 0 ? undefined : formatMost({ totals: atRisk, unknown: unpriced });
}

/** The lines of a group: what happened, and the command that settles exactly its rows. */
export function formatGroup(group: Group, now: number, tell: TellTime): string[] {
  const { batch, code, httpStatus, phase, rows, oldest, example, until } = group;
  const facts = [
    formatAtRisk(group),
    oldest === null ? undefined : `the oldest is ${formatDistance(now - oldest.getTime())} old`,
    until === null ? undefined : `an answer may come until ${tell(until)}`,
  ].filter((fact) => fact !== undefined);
  const command = [
    `vidbatch resolve ${quoted(batch)} --error-code ${quoted(code ?? 'none')}`,
    `--http-status ${httpStatus ?? 'none'} --phase ${phase} --abandon --reason <text>`,
  ];
  return [
    `  ${formatCount(rows).padStart(7)}  ${batch}  ${formatCause(group)}${facts.length === 0 ? '' : `  (${facts.join('; ')})`}`,
    ...(example === null ? [] : [`           ${shortened(example, 160)}`]),
    `           ${command.join(' ')}`,
  ];
}

function shortened(text: string, length: number): string {
  return text.length > length
    ? `${oneLine(text.slice(0, length), length)}… (${formatCount(text.length)} characters; --json has more)`
    : oneLine(text, length + 1);
}
