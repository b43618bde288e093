import { EXIT, type ExitCode } from '../../core/errors.ts';
import type { Queryable } from '../../database/database.ts';
import type { Batch } from '../../ledger/batches.ts';
import { readDisputes } from '../../ledger/read/dispute.ts';
import { disputePage } from '../../operate/dispute-page.ts';
import { disputeCsv, disputeEntry, DisputeTotals, type DisputeEntry } from '../../operate/dispute.ts';
import { isOn } from '../flags/flags.ts';
import type { Io } from '../output/io.ts';
import { fileNameOf, writeOutput, type OutputFlags } from '../flags/output-file.ts';

export interface DisputeFlags extends OutputFlags {
  json?: boolean;
  html?: boolean;
  dispute?: boolean;
  withPrompts?: boolean;
}

/** `report --dispute` */
export async function writeDispute(
  db: Queryable,
  batch: Batch,
  { flags, redact }: { flags: DisputeFlags; redact: (text: string) => string },
  io: Io,
): Promise<ExitCode> {
  const withPrompts = isOn(flags.withPrompts);
  const totals = new DisputeTotals();
  async function* entries(): AsyncGenerator<DisputeEntry> {
    for await (const found of readDisputes(db, batch.id)) {
      const entry = disputeEntry(batch.name, found, { redact, withPrompts });
      totals.add(entry);
      yield entry;
    }
  }
  async function* page(): AsyncGenerator<string> {
    const all: DisputeEntry[] = [];
    for await (const entry of entries()) all.push(entry);
    yield disputePage(batch, all, new Date());
  }
  const texts = isOn(flags.html) ? page() : disputeCsv(entries(), { withPrompts });
  const kind = isOn(flags.html) ? 'html' : 'csv';
  const path = flags.output ?? `${fileNameOf(batch.name)}.dispute.${kind}`;
  const file = await writeOutput(path, texts, flags, io);
  if (file === undefined) return EXIT.ok;
  if (isOn(flags.json)) io.out(JSON.stringify({ file, ...totals.json() }));
  else io.out(`wrote ${file}: ${totals.format()}`);
  return EXIT.ok;
}
