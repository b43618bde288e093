import type { Group, Heard, Unsettled } from '../ledger/read/uncertain.ts';
import { REACHED } from '../operate/life.ts';
import { oneLine } from '../core/text.ts';
import { idempotencyKey } from '../worker/submit.ts';
import { count } from '../core/format.ts';

function crashPoint({ phase, intendedAt }: Pick<Heard, 'phase' | 'intendedAt'>): string {
  if (phase === 'answered') return `${REACHED.answered}, which does not say whether the request was accepted`;
  if (phase !== 'none') return REACHED[phase];
  return intendedAt === null
    ? 'the worker died or came too late, and no journal of it was read'
    : 'the worker died; its journal holds the intent, so the request may have left';
}

/** One row with all that is known of it, for people. */
export function describeUnsettled(row: Unsettled, ledgerId: string): string {
  const { attempt } = row;
  const lines = [`${row.batch} ${row.key}: ${headline(row)}`, `  from      ${row.source}:${row.line}`];
  if (attempt !== null) lines.push(...describeHeard(attempt));
  lines.push(`  key       ${idempotencyKey(ledgerId, row)}`, `  request   ${shortened(row.request, 1000)}`);
  return `${lines.join('\n')}\n\n`;
}

function headline({ kind, taskId, surplus, attempts }: Unsettled): string {
  if (kind === 'surplus' && taskId === null)
    return `PAID BESIDE THE ROW, which has no task now: task ${surplus.join(', ')}`;
  if (kind === 'surplus') return `PAID TWICE: task ${taskId} and ${surplus.join(', ')}`;
  return `uncertain, after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`;
}

function describeHeard(attempt: Heard): string[] {
  const heard = attempt.finishedAt === null ? 'never heard of' : `last heard ${at(attempt.finishedAt)}`;
  const swept = attempt.sweptAt === null ? '' : `, judged ${at(attempt.sweptAt)}`;
  const answer = [
    attempt.httpStatus === null ? undefined : `HTTP ${attempt.httpStatus}`,
    attempt.code,
    attempt.message,
  ].filter((part) => part !== undefined && part !== null);
  const headers = Object.entries(attempt.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
  return [
    `  when      claimed ${at(attempt.claimedAt)}, ${heard}${swept}`,
    `  deadline  ${at(attempt.deadline)}${attempt.deadlinePassed ? ', passed' : '; until then it cannot be called not sent'}`,
    `  reached   ${attempt.phase}: ${crashPoint(attempt)}`,
    ...(answer.length === 0 ? [] : [`  answer    ${answer.join(' · ')}`]),
    ...(headers.length === 0 ? [] : [`  headers   ${shortened(headers.join(' · '), 600)}`]),
    ...(attempt.requestId === null ? [] : [`  id        ${attempt.requestId}`]),
    ...(attempt.body === null ? [] : [`  body      ${shortened(attempt.body, 300)}`]),
  ];
}

/** The same for a program: dates as RFC 3339, the request as JSON. */
export function unsettledJson(row: Unsettled, ledgerId: string): string {
  const { request, attempt, refusals: _refusals, submissionId: _id, ...rest } = row;
  return JSON.stringify({
    ...rest,
    idempotencyKey: idempotencyKey(ledgerId, row),
    attempt: attempt === null ? null : { ...attempt, reached: crashPoint(attempt) },
    request: JSON.parse(request) as unknown,
  });
}

/** `  2,990  lost  ECONNRESET · sent` */
export function describeGroup({ batch, code, httpStatus, phase, rows }: Group): string {
  const what = [code, httpStatus === null ? null : `HTTP ${httpStatus}`, phase];
  return `  ${count(rows).padStart(7)}  ${batch}  ${what.filter((part) => part !== null).join(' · ')}`;
}

function at(date: Date): string {
  return date.toISOString();
}

function shortened(text: string, length: number): string {
  return text.length > length
    ? `${oneLine(text.slice(0, length), length)}… (${count(text.length)} characters; --json has more)`
    : oneLine(text, length + 1);
}
