import type { Command } from 'commander';
import { EXIT, type ExitCode } from '../../core/errors.ts';
import { formatCount, plural } from '../../core/units.ts';
import { checkRows, placed } from '../../manifest/check-rows.ts';
import { columnsJson, formatColumns, missingColumns, missingFields } from '../../manifest/columns.ts';
import { openManifest } from '../../manifest/manifest.ts';
import { DEFAULT_PROFILE, loadProfile } from '../../provider/profile/load.ts';
import { configOf, flag, globalFlags, isOn } from '../flags/flags.ts';
import { FaultReport } from '../output/fault-report.ts';
import { keepHeapSmall, type Io } from '../output/io.ts';
import { readFlags, readOptions, type ReadFlags } from '../flags/manifest.ts';
import { Progress } from '../output/terminal.ts';

export function validateCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('validate <manifest...>')
    .description('read and check manifests, send nothing: every fault with file, line, column and rule')
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch validate jobs/text.csv
  $ vidbatch validate jobs/text.csv --all      every fault as it comes, and not three of each rule
  $ vidbatch validate prompts.csv --map prompt=提示词 --map model=模型
  $ cat rows.jsonl | vidbatch validate - --format jsonl --json`,
    )
    .action(async (manifests: string[], flags: ValidateFlags) => exit(await validate(manifests, flags, io)));
  readFlags(globalFlags(command));
  flag(command, '--all', 'every fault, one line each');
}

type ValidateFlags = ReadFlags & { all?: boolean };

async function validate(manifests: readonly string[], flags: ValidateFlags, io: Io): Promise<ExitCode> {
  keepHeapSmall();
  const { models } = configOf(flags);
  const { profile = DEFAULT_PROFILE, ...read } = readOptions(flags);
  const options = { ...read, models, profile: loadProfile(profile).profile, stdin: io.stdin };
  let invalid = false;
  for (const source of manifests) {
    const manifest = await openManifest(source, options);
    const progress = new Progress(io);
    const faults = new FaultReport(
      { err: (line) => progress.above(line) },
      isOn(flags.all) ? Infinity : 'examples',
    );
    const missing = missingColumns(manifest, options.map);
    if (missing !== undefined) {
      const line = 1 + (options.skipLines ?? 0);
      faults.add({ severity: 'error', line, rule: 'header-missing', message: missing }, manifest.name);
    }
    // One fault of the header is shown instead of the faults that it causes in every row.
    const causedByHeader = [
      ...missingFields(manifest, options.map).map((field) => `${field}-required`),
      ...(missing === undefined ? [] : ['ragged-row', 'unnamed-column']),
    ];
    const modes: Record<string, number> = {};
    let rows = 0;
    let valid = 0;
    const { rows: checked, faults: ofFile, columns } = checkRows(manifest, options);
    for (const fault of ofFile) faults.add(fault, manifest.name);
    for await (const row of checked) {
      rows += 1;
      if (row.request !== undefined) valid += 1;
      if (row.request !== undefined && row.mode !== undefined) modes[row.mode] = (modes[row.mode] ?? 0) + 1;
      for (const fault of placed(row, manifest)) {
        if (!causedByHeader.includes(fault.rule)) faults.add(fault, manifest.name);
      }
      if (rows % 2000 === 0) progress.show(`${source}: ${formatCount(rows)} rows read`);
    }
    progress.clear();
    faults.finish('; --all shows them all');
    if (faults.errors > 0 || rows === 0) invalid = true;
    // Without a header, the columns have no meaning.
    if (!isOn(flags.json) && missing === undefined)
      for (const line of formatColumns(columns())) io.err(`${source}: ${line}`);
    const result = {
      manifest: source,
      format: manifest.format,
      encoding: manifest.encoding,
      rows,
      valid,
      invalid: rows - valid,
      errors: faults.errors,
      warnings: faults.warnings,
      modes,
      ...columnsJson(columns()),
      ...faults.json(),
    };
    io.out(isOn(flags.json) ? JSON.stringify(result) : formatResult(result));
  }
  return invalid ? EXIT.refused : EXIT.ok;
}

function formatResult(result: {
  manifest: string;
  rows: number;
  invalid: number;
  errors: number;
  warnings: number;
  modes: Record<string, number>;
}): string {
  const modes = Object.entries(result.modes).map(([mode, n]) => `${formatCount(n)} ${mode}`);
  const verdict =
    result.rows === 0
      ? 'no rows'
      : result.invalid + result.errors === 0
        ? 'valid'
        : `${formatCount(result.invalid)} invalid`;
  const parts = [
    plural(result.rows, 'row'),
    verdict,
    ...(result.warnings === 0 ? [] : [plural(result.warnings, 'warning')]),
    ...(modes.length === 0 ? [] : [modes.join(', ')]),
  ];
  return `${result.manifest}: ${parts.join(' · ')}`;
}
