import type { Command } from 'commander';
import { EXIT, type ExitCode } from '../../core/errors.ts';
import { sums } from '../../core/money/money.ts';
import { resolveLine } from '../../core/next-step.ts';
import { formatCount, plural } from '../../core/units.ts';
import { requireBatch } from '../../ledger/batches.ts';
import { groupUncertain, type Grouped } from '../../ledger/read/uncertain-groups.ts';
import { readUnsettled } from '../../ledger/read/uncertain.ts';
import { formatAtRisk, formatGroup, formatUnsettled, unsettledJson } from '../../operate/unsettled.ts';
import { tellLocal } from '../output/clock.ts';
import { configOf, globalFlags, isOn, type GlobalFlags } from '../flags/flags.ts';
import { keepHeapSmall, type Io } from '../output/io.ts';
import { withLedger } from '../open-ledger.ts';

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

It begins with groups of rows to which the same happened, each with the command that settles all of them. Look for the rows
in the provider's own task list, by the time of the claim, the request id or the prompt. Then tell \`vidbatch resolve\` what
you found, or settle them on the page /uncertain of \`vidbatch board\`.`,
    )
    .action(async (name: string | undefined, flags: GlobalFlags) => exit(await uncertain(name, flags, io)));
  globalFlags(command);
}

/** The largest groups of rows, which are shown at the beginning. */
const MOST_GROUPS = 10;

async function uncertain(name: string | undefined, flags: GlobalFlags, io: Io): Promise<ExitCode> {
  keepHeapSmall();
  const asJson = isOn(flags.json);
  const now = Date.now();
  return withLedger(configOf(flags), io, async ({ db, ledgerId }) => {
    const batch = name === undefined ? null : await requireBatch(db, name);
    const id = batch?.id ?? null;
    if (!asJson)
      for (const line of formatGroups(await groupUncertain(db, id, MOST_GROUPS), now)) io.out(line);
    let first: { batch: string; key: string } | undefined;
    let surplus = 0;
    for await (const row of readUnsettled(db, id)) {
      if (row.kind === 'surplus') surplus += 1;
      else first ??= row;
      const text = asJson
        ? `${unsettledJson(row, ledgerId)}\n`
        : formatUnsettled(row, ledgerId, tellLocal(now));
      if (!(await io.write(text))) return EXIT.ok;
    }
    if (!asJson) for (const line of formatEnding(first, surplus)) io.out(line);
    return EXIT.ok;
  });
}

/** `12 uncertain rows, at most 26.40 CNY`, and what happened to them. Empty: no row is uncertain. */
function formatGroups({ groups, rows, groupCount }: Grouped, now: number): string[] {
  if (rows === 0) return [];
  const hidden = groupCount - groups.length;
  const cost =
    hidden > 0
      ? undefined
      : formatAtRisk({
          atRisk: sums(groups.flatMap(({ atRisk }) => atRisk)),
          unpriced: groups.reduce((sum, { unpriced }) => sum + unpriced, 0),
        });
  return [
    `${plural(rows, 'uncertain row')}${cost === undefined ? '' : `, ${cost}`}`,
    ...groups.flatMap((group) => formatGroup(group, now, tellLocal(now))),
    ...(hidden === 0 ? [] : [`  and ${formatCount(hidden)} more ${hidden === 1 ? 'group' : 'groups'}`]),
    '',
  ];
}

function formatEnding(first: { batch: string; key: string } | undefined, surplus: number): string[] {
  const lines: string[] = [];
  if (surplus > 0) {
    lines.push(
      `${plural(surplus, 'row was', 'rows were')} paid twice: cancel one of the tasks at the provider, or use both.`,
    );
  }
  if (first === undefined)
    return lines.length > 0 ? lines : ['no row is uncertain, and none is known to be paid twice'];
  const line = resolveLine(first);
  return [
    ...lines,
    "Next: look for the rows in the provider's own task list, then run one of these for each:",
    `  ${line} --task-id <id> --reason <text>     the row is there`,
    `  ${line} --not-sent --reason <text>         the row is not there, and may be sent again`,
    `  ${line} --abandon --reason <text>          give the row up, paid or not`,
  ];
}
