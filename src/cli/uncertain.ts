import type { Command } from 'commander';
import { EXIT } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { keepHeapSmall } from './heap.ts';
import { groupUncertain, readUnsettled } from '../ledger/read/uncertain.ts';
import type { Group } from '../ledger/read/uncertain.ts';
import { resolveLine } from '../core/next-step.ts';
import { quoted } from '../core/shell-word.ts';
import { count } from '../core/format.ts';
import { batchNamed } from './batch-named.ts';
import { describeGroup, describeUnsettled, unsettledJson } from './evidence.ts';
import { configOf, globalFlags } from './io.ts';
import type { GlobalFlags, Io } from './io.ts';
import { openAlone } from './ledger-alone.ts';

export function uncertainCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('uncertain [batch]')
    .description('rows that may have been accepted, or were paid twice, with all that is known of them')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch uncertain text
  $ vidbatch uncertain text | less
  $ vidbatch uncertain --json | jq -r '[.batch, .key, .attempt.requestId] | @tsv'

Look for these rows in the provider's own task list: by the time of the claim, the request id or the prompt. Then
say what you found with \`vidbatch resolve\`.`,
    )
    .action(async (name: string | undefined, flags: GlobalFlags) => exit(await uncertain(name, flags, io)));
  globalFlags(command);
}

/** Groups of rows that are told at the end, when a person has read on. */
const MOST_GROUPS = 10;

async function uncertain(name: string | undefined, flags: GlobalFlags, io: Io): Promise<ExitCode> {
  keepHeapSmall();
  const app = await openAlone(configOf(flags), io);
  try {
    const batch = name === undefined ? null : await batchNamed(app.db, name);
    const id = batch?.id ?? null;
    let first: { batch: string; key: string } | undefined;
    let surplus = 0;
    for await (const row of readUnsettled(app.db, id)) {
      if (row.kind === 'surplus') surplus += 1;
      else first ??= row;
      const text =
        flags.json === true ? `${unsettledJson(row, app.ledgerId)}\n` : describeUnsettled(row, app.ledgerId);
      if (!(await io.write(text))) return EXIT.ok;
    }
    if (flags.json === true) return EXIT.ok;
    const groups = await groupUncertain(app.db, id, MOST_GROUPS);
    for (const line of ending(first, groups, surplus)) io.out(line);
    return EXIT.ok;
  } finally {
    await app.close();
  }
}

function ending(
  first: { batch: string; key: string } | undefined,
  groups: readonly Group[],
  surplus: number,
): string[] {
  const lines: string[] = [];
  if (surplus > 0) {
    lines.push(
      `${count(surplus)} ${surplus === 1 ? 'row was' : 'rows were'} paid twice: cancel one of the tasks at the provider, or use both.`,
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
    ...groups.map(describeGroup),
    "Next: look for them in the provider's own task list, then one of",
    `  ${line} --task-id <id> --reason <text>     it is there`,
    `  ${line} --not-sent --reason <text>         it is not there, and may be sent again`,
    `  ${line} --abandon --reason <text>          leave it, paid or not`,
    `  vidbatch resolve ${quoted(largest.batch)} ${filter.join(' ')} --abandon --reason <text>     many at once`,
  ];
}
