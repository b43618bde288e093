import type { Command } from 'commander';
import { EXIT } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { oneLine } from '../core/text.ts';
import { formatCount, plural } from '../core/units.ts';
import { requireBatch } from '../ledger/batches.ts';
import { readFailures } from '../ledger/read/failures.ts';
import type { FailureGroup } from '../ledger/read/failures.ts';
import { nextSteps } from '../operate/failure-steps.ts';
import type { Step } from '../operate/failure-steps.ts';
import { parseSince } from '../operate/since.ts';
import { configOf, flag, globalFlags, isOn } from './flags.ts';
import type { GlobalFlags } from './flags.ts';
import type { Io } from './io.ts';
import { withLedger } from './open-ledger.ts';
import { parseZone } from './time-flags.ts';

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
  flag(
    command,
    '--since <time>',
    'only what failed since then: today, yesterday, 12h, 7d, a date or a time (default: all)',
  );
  flag(command, '--tz <zone>', 'the zone of dates', 'UTC');
  globalFlags(command);
}

interface FailureFlags extends GlobalFlags {
  since?: string;
  tz: string;
}

async function failures(name: string | undefined, flags: FailureFlags, io: Io): Promise<ExitCode> {
  const since = flags.since === undefined ? null : parseSince('--since', flags.since, parseZone(flags.tz));
  return withLedger(configOf(flags), io, async ({ db }) => {
    const batchId = name === undefined ? null : (await requireBatch(db, name)).id;
    const groups = await readFailures(db, { batchId, since });
    for (const group of groups) {
      const next = nextSteps(group);
      const text = isOn(flags.json)
        ? JSON.stringify({ ...group, next: next.map(({ command }) => command) })
        : formatGroup(group, next).join('\n');
      if (!(await io.write(`${text}\n`))) return EXIT.ok;
    }
    if (groups.length === 0 && !isOn(flags.json))
      io.out(`no row and no task failed${since === null ? '' : ` since ${since.toISOString()}`}`);
    return EXIT.ok;
  });
}

function formatGroup(group: FailureGroup, next: readonly Step[]): string[] {
  const { kind, batch, model, code, httpStatus, rows, lastHour, first, last, examples, reason } = group;
  const what = kind === 'task' ? `${plural(rows, 'task')} failed` : `${plural(rows, 'row')} ${kind}`;
  const cause = [code, httpStatus === null ? null : `HTTP ${httpStatus}`].filter((part) => part !== null);
  const recent = lastHour > 0 && lastHour < rows ? ` · ${formatCount(lastHour)} in the last hour` : '';
  const shown = oneLine(reason ?? '', 160);
  return [
    `${batch}  ${what}${cause.length === 0 ? '' : `: ${cause.join(' · ')}`}`,
    `  model      ${model ?? 'unknown'}`,
    `  when       ${first.toISOString()}${rows > 1 ? ` to ${last.toISOString()}` : ''}${recent}`,
    ...(shown === '' || shown === code ? [] : [`  reason     ${shown}`]),
    `  rows       ${examples.join(', ')}${rows > examples.length ? ' …' : ''}`,
    ...next.map(({ command, what: purpose }) => `  ${purpose.padEnd(9)}  ${command}`),
  ];
}
