import type { Command } from 'commander';
import { EXIT, type ExitCode } from '../../core/errors.ts';
import { oneLine } from '../../core/text.ts';
import type { TellTime } from '../../core/time/tell-time.ts';
import { formatCount, plural } from '../../core/units.ts';
import { requireBatch } from '../../ledger/batches.ts';
import { readFailures, type FailureGroup } from '../../ledger/read/failures.ts';
import { formatCause, nextSteps } from '../../operate/failure-steps.ts';
import { formatClock, formatTime, tellLocal, zoneLabel } from '../output/clock.ts';
import { configOf, globalFlags, isOn, type GlobalFlags } from '../flags/flags.ts';
import type { Io } from '../output/io.ts';
import { withLedger } from '../open-ledger.ts';
import { Styled, type Line } from '../output/style.ts';
import { formatTable } from '../output/table.ts';
import { sinceFlags, sinceOf, type SinceFlags } from '../flags/time.ts';

export function failuresCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('failures [batch]')
    .description('rows and tasks that failed, grouped by cause, with what to do')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch failures --since 12h
  $ vidbatch failures text --json | jq -r '[.code, .rows] | @tsv'

Uncertain rows did not fail: \`vidbatch uncertain\` lists them.`,
    )
    .action(async (batch: string | undefined, flags: FailureFlags) => exit(await failures(batch, flags, io)));
  sinceFlags(command, 'only what failed', 'dates');
  globalFlags(command);
}

type FailureFlags = GlobalFlags & SinceFlags;

async function failures(name: string | undefined, flags: FailureFlags, io: Io): Promise<ExitCode> {
  const since = sinceOf(flags);
  return withLedger(configOf(flags), io, async ({ db }) => {
    const batchId = name === undefined ? null : (await requireBatch(db, name)).id;
    const groups = await readFailures(db, { batchId, since });
    if (isOn(flags.json)) {
      for (const group of groups) {
        const next = nextSteps(group).map(({ command }) => command);
        if (!(await io.write(`${JSON.stringify({ ...group, next })}\n`))) break;
      }
      return EXIT.ok;
    }
    const now = Date.now();
    if (groups.length === 0)
      io.out(`no row and no task failed${since === null ? '' : ` since ${formatTime(since)}`}`);
    if (groups.length > 1) for (const line of formatGroups(groups, io.width, now)) io.out(line);
    const told = new Set<string>();
    for (const [n, group] of groups.entries()) {
      if (n > 0 || groups.length > 1) io.out('');
      for (const line of formatGroup(group, told, tellLocal(now))) io.out(line);
    }
    return EXIT.ok;
  });
}

/** A line for each group, the largest first. */
function formatGroups(groups: readonly FailureGroup[], width: number, now: number): Line[] {
  return formatTable<FailureGroup>(
    [
      { title: 'rows', right: true, of: ({ rows }) => formatCount(rows) },
      { title: 'batch', least: 10, of: ({ batch }) => batch },
      { title: 'what', of: ({ kind }) => new Styled('bad', kind === 'task' ? 'task failed' : kind) },
      { title: 'cause', least: 16, of: (group) => oneLine(formatCause(group), 80) },
      { title: 'model', least: 10, drop: 1, of: ({ model }) => model ?? '' },
      {
        title: 'last hour',
        right: true,
        drop: 2,
        of: ({ lastHour }) => (lastHour === 0 ? '' : formatCount(lastHour)),
      },
      { title: `last (${zoneLabel(now)})`, drop: 3, of: ({ last }) => formatClock(last.getTime(), now) },
    ],
    groups,
    width,
  );
}

/** `told`: the commands that were shown. Groups of a batch that differ by their model have the same ones. */
function formatGroup(group: FailureGroup, told: Set<string>, tell: TellTime): Line[] {
  const { kind, batch, model, code, rows, lastHour, first, last, examples, reason } = group;
  const what = kind === 'task' ? `${plural(rows, 'task')} failed` : `${plural(rows, 'row')} ${kind}`;
  const cause = formatCause(group);
  const recent = lastHour > 0 && lastHour < rows ? ` · ${formatCount(lastHour)} in the last hour` : '';
  const shown = oneLine(reason ?? '', 160);
  const steps = nextSteps(group);
  const isNew = steps.some(({ command }) => !told.has(command));
  for (const { command } of steps) told.add(command);
  return [
    [new Styled('heading', batch), '  ', new Styled('bad', what), cause === '' ? '' : `: ${oneLine(cause)}`],
    `  model      ${model ?? 'unknown'}`,
    `  when       ${tell(first)}${rows > 1 ? ` to ${tell(last, first)}` : ''}${recent}`,
    ...(shown === '' || shown === code ? [] : [`  reason     ${shown}`]),
    `  rows       ${examples.join(', ')}${rows > examples.length ? ' …' : ''}`,
    ...(isNew
      ? steps.map(({ command, what: purpose }) => `  ${purpose.padEnd(9)}  ${command}`)
      : [`  next       as above: the same commands take these ${kind === 'task' ? 'tasks' : 'rows'}, too`]),
  ];
}
