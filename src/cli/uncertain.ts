import type { Command } from 'commander';
import { EXIT } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { resolveLine } from '../core/next-step.ts';
import { quoted, oneLine } from '../core/text.ts';
import { formatCount, plural } from '../core/units.ts';
import { requireBatch } from '../ledger/batches.ts';
import { groupUncertain, readUnsettled } from '../ledger/read/uncertain.ts';
import type { Group, Heard, Unsettled } from '../ledger/read/uncertain.ts';
import { REACHED } from '../operate/row-life.ts';
import { idempotencyKey } from '../worker/submit.ts';
import { configOf, globalFlags, isOn } from './flags.ts';
import type { GlobalFlags } from './flags.ts';
import { keepHeapSmall } from './io.ts';
import type { Io } from './io.ts';
import { withLedger } from './open-ledger.ts';

export function uncertainCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('uncertain [batch]')
    .description('rows that may have been accepted, or were paid twice, with everything known about them')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch uncertain text
  $ vidbatch uncertain text | less
  $ vidbatch uncertain --json | jq -r '[.batch, .key, .attempt.requestId] | @tsv'

Look for these rows in the provider's own task list, by the time of the claim, the request id or the prompt. Then tell
\`vidbatch resolve\` what you found.`,
    )
    .action(async (name: string | undefined, flags: GlobalFlags) => exit(await uncertain(name, flags, io)));
  globalFlags(command);
}

/** The largest groups of rows, which are shown at the end. */
const MOST_GROUPS = 10;

async function uncertain(name: string | undefined, flags: GlobalFlags, io: Io): Promise<ExitCode> {
  keepHeapSmall();
  return withLedger(configOf(flags), io, async ({ db, ledgerId }) => {
    const batch = name === undefined ? null : await requireBatch(db, name);
    const id = batch?.id ?? null;
    let first: { batch: string; key: string } | undefined;
    let surplus = 0;
    for await (const row of readUnsettled(db, id)) {
      if (row.kind === 'surplus') surplus += 1;
      else first ??= row;
      const text = isOn(flags.json) ? `${unsettledJson(row, ledgerId)}\n` : formatUnsettled(row, ledgerId);
      if (!(await io.write(text))) return EXIT.ok;
    }
    if (isOn(flags.json)) return EXIT.ok;
    const groups = await groupUncertain(db, id, MOST_GROUPS);
    for (const line of formatEnding(first, groups, surplus)) io.out(line);
    return EXIT.ok;
  });
}

function formatEnding(
  first: { batch: string; key: string } | undefined,
  groups: readonly Group[],
  surplus: number,
): string[] {
  const lines: string[] = [];
  if (surplus > 0) {
    lines.push(
      `${plural(surplus, 'row was', 'rows were')} paid twice: cancel one of the tasks at the provider, or use both.`,
    );
  }
  const [largest] = groups;
  if (first === undefined || largest === undefined) {
    return lines.length > 0 ? lines : ['no row is uncertain, and none is known to be paid twice'];
  }
  const line = resolveLine(first);
  const filter = [
    largest.code === null ? undefined : `--error-code ${quoted(largest.code)}`,
    largest.httpStatus === null ? undefined : `--http-status ${largest.httpStatus}`,
    largest.phase === null ? undefined : `--phase ${largest.phase}`,
  ].filter((part) => part !== undefined);
  return [
    ...lines,
    'Uncertain rows:',
    ...groups.map(formatGroup),
    "Next: look for them in the provider's own task list, then run one of these:",
    `  ${line} --task-id <id> --reason <text>     the row is there`,
    `  ${line} --not-sent --reason <text>         the row is not there, and may be sent again`,
    `  ${line} --abandon --reason <text>          give the row up, paid or not`,
    `  vidbatch resolve ${quoted(largest.batch)} ${filter.join(' ')} --abandon --reason <text>     many rows at once`,
  ];
}

function formatReached({ phase, intendedAt }: Pick<Heard, 'phase' | 'intendedAt'>): string {
  if (phase === 'answered') return `${REACHED.answered}, which does not say whether the request was accepted`;
  if (phase !== 'none') return REACHED[phase];
  return intendedAt === null
    ? 'the worker died or answered too late, and its journal was not read'
    : 'the worker died; its journal holds the intent, so the request may have left';
}

/** One row with everything known about it, for people. */
export function formatUnsettled(row: Unsettled, ledgerId: string): string {
  const { attempt } = row;
  const lines = [`${row.batch} ${row.key}: ${formatHeadline(row)}`, `  from      ${row.source}:${row.line}`];
  if (attempt !== null) lines.push(...formatAttempt(attempt));
  lines.push(`  key       ${idempotencyKey(ledgerId, row)}`, `  request   ${shortened(row.request, 1000)}`);
  return `${lines.join('\n')}\n\n`;
}

function formatHeadline({ kind, taskId, surplus, attempts }: Unsettled): string {
  if (kind === 'surplus' && taskId === null)
    return `PAID BESIDE THE ROW, which has no task now: task ${surplus.join(', ')}`;
  if (kind === 'surplus') return `PAID TWICE: task ${taskId} and ${surplus.join(', ')}`;
  return `uncertain, after ${plural(attempts, 'attempt')}`;
}

function formatAttempt(attempt: Heard): string[] {
  const heard = attempt.finishedAt === null ? 'no answer' : `call ended ${formatTime(attempt.finishedAt)}`;
  const swept = attempt.sweptAt === null ? '' : `, judged ${formatTime(attempt.sweptAt)}`;
  const answer = [
    attempt.httpStatus === null ? undefined : `HTTP ${attempt.httpStatus}`,
    attempt.code,
    attempt.message,
  ].filter((part) => part !== undefined && part !== null);
  const headers = Object.entries(attempt.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
  return [
    `  when      claimed ${formatTime(attempt.claimedAt)}, ${heard}${swept}`,
    `  deadline  ${formatTime(attempt.deadline)}${attempt.deadlinePassed ? ', passed' : '; until then the row cannot be called not sent'}`,
    `  reached   ${attempt.phase}: ${formatReached(attempt)}`,
    ...(answer.length === 0 ? [] : [`  answer    ${answer.join(' · ')}`]),
    ...(headers.length === 0 ? [] : [`  headers   ${shortened(headers.join(' · '), 600)}`]),
    ...(attempt.requestId === null ? [] : [`  id        ${attempt.requestId}`]),
    ...(attempt.body === null ? [] : [`  body      ${shortened(attempt.body, 300)}`]),
  ];
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

/** `  2,990  lost  ECONNRESET · sent` */
export function formatGroup({ batch, code, httpStatus, phase, rows }: Group): string {
  const what = [code, httpStatus === null ? null : `HTTP ${httpStatus}`, phase];
  return `  ${formatCount(rows).padStart(7)}  ${batch}  ${what.filter((part) => part !== null).join(' · ')}`;
}

function formatTime(date: Date): string {
  return date.toISOString();
}

function shortened(text: string, length: number): string {
  return text.length > length
    ? `${oneLine(text.slice(0, length), length)}… (${formatCount(text.length)} characters; --json has more)`
    : oneLine(text, length + 1);
}
