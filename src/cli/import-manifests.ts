import { formatBudget } from '../batch/budget.ts';
import { batchName, checkHeader, checkUnchanged, openCandidate } from '../batch/candidate.ts';
import type { Candidate } from '../batch/candidate.ts';
import { chanceOf } from '../batch/deadline.ts';
import { foresee } from '../batch/plan.ts';
import { outlookOf } from '../batch/outlook.ts';
import { bringIn, rehearse } from '../batch/producer.ts';
import type { ProduceOptions, Produced } from '../batch/producer.ts';
import type { Config } from '../core/config.ts';
import { refusal } from '../core/errors.ts';
import { formatCount } from '../core/units.ts';
import { quoted } from '../core/text.ts';
import { within } from '../core/within.ts';
import type { Database } from '../database/database.ts';
import { readBudgetStatus } from '../ledger/money/budget.ts';
import { readOutline } from '../ledger/import/outline.ts';
import type { Manifest } from '../manifest/entry.ts';
import { openManifest } from '../manifest/manifest.ts';
import { formatColumns } from '../manifest/columns.ts';
import { FaultReport } from './format.ts';
import type { Io } from './io.ts';
import type { Interrupt } from './signals.ts';
import { Progress } from './terminal.ts';

/** A manifest as the command line names it. Standard input is opened only when there is a ledger. */
export interface NamedManifest {
  source: string;
  manifest?: Manifest;
}

/** Checks names and headers first, so that a mistake in them makes no ledger. */
export async function openNamed(
  sources: readonly string[],
  options: ProduceOptions,
): Promise<NamedManifest[]> {
  const named: NamedManifest[] = [];
  for (const source of sources) {
    batchName(source, options.batch);
    if (source === '-') {
      named.push({ source });
      continue;
    }
    const manifest = await openManifest(source, options);
    checkHeader(manifest, options.map);
    named.push({ source, manifest });
  }
  return named;
}

/** The options of a command's manifests, with what the configuration and the terminal add to them. */
export function importOptions(
  options: ProduceOptions,
  { baseUrl, models }: Pick<Config, 'baseUrl' | 'models'>,
  { stdin }: Pick<Io, 'stdin'>,
): ProduceOptions {
  return { ...options, ...(baseUrl === undefined ? {} : { origin: baseUrl }), models, stdin };
}

/** Brings manifests into the ledger, all of them or none. Each is read and staged once. */
export async function importManifests(
  db: Database,
  named: readonly NamedManifest[],
  options: ProduceOptions,
  io: Io,
): Promise<Produced[]> {
  const candidates: Candidate[] = [];
  try {
    await stageAll(db, named, options, io, candidates);
    return await importAll(db, candidates, options, io);
  } finally {
    await closeAll(candidates);
  }
}

/** A command that is told to stop does not wait longer than this for its staged rows. The next import deletes them. */
const CLOSING_MS = 3_000;

/**
 * Like `importManifests`, but a person agrees to the staged rows first. The rows that were shown are the rows that are brought in.
 * Undefined: the command was told to stop before that.
 */
export async function importConfirmed(
  db: Database,
  named: readonly NamedManifest[],
  options: ProduceOptions,
  io: Io,
  { agree, interrupt }: { agree: (candidates: readonly Candidate[]) => Promise<void>; interrupt: Interrupt },
): Promise<Produced[] | undefined> {
  const candidates: Candidate[] = [];
  const prepare = async (): Promise<void> => {
    await stageAll(db, named, options, io, candidates);
    await agree(candidates);
    for (const one of candidates) await checkUnchanged(one);
  };
  try {
    await Promise.race([prepare(), interrupt.happened]);
    return interrupt.signal.aborted ? undefined : await importAll(db, candidates, options, io);
  } finally {
    await within(
      CLOSING_MS,
      closeAll(candidates).catch(() => undefined),
      () => undefined,
    );
  }
}

/** Adds each candidate to `candidates` as soon as it is staged, so that the caller can close it. */
async function stageAll(
  db: Database,
  named: readonly NamedManifest[],
  options: ProduceOptions,
  io: Io,
  candidates: Candidate[],
): Promise<void> {
  for (const { source, manifest } of named) {
    const progress = new Progress(io);
    const faults = new FaultReport({ err: (line) => progress.above(`${line}\n`) }, 20);
    const telling: ProduceOptions = {
      ...options,
      onFault: (fault, name) => faults.add(fault, name),
      onProgress: (rows) => progress.show(`${source}: ${formatCount(rows)} rows read`),
    };
    try {
      candidates.push(await openCandidate(db, source, telling, manifest));
    } finally {
      progress.clear();
      faults.finish(`; \`vidbatch validate ${quoted(source)} --all\` shows them all`);
    }
  }
}

async function closeAll(candidates: readonly Candidate[]): Promise<void> {
  for (const one of candidates) await one.close();
}

/** If there are several, each is checked before the first is brought in. */
async function importAll(
  db: Database,
  candidates: readonly Candidate[],
  options: ProduceOptions,
  io: Io,
): Promise<Produced[]> {
  if (candidates.length > 1) for (const one of candidates) await checkAmongOthers(db, one, options);
  const produced: Produced[] = [];
  for (const candidate of candidates) {
    const one = await bringIn(db, candidate, options);
    produced.push(one);
    await warnOfDeadline(db, one, options, io);
    await warnOfBudget(db, one, io);
  }
  return produced;
}

async function checkAmongOthers(db: Database, candidate: Candidate, options: ProduceOptions): Promise<void> {
  const refused = await rehearse(db, candidate, options, async (session, batch, comparison) =>
    foresee(
      session,
      { batch, candidate, comparison, groups: await readOutline(session, candidate.read, batch.id) },
      options,
    ),
  );
  if (refused === undefined) return;
  if (refused.code !== 'INVALID_ROWS') throw refused;
  const { name } = candidate.manifest;
  const { invalid } = candidate.staged;
  throw refusal(
    'INVALID_ROWS',
    `${name}: ${invalid === 1 ? '1 row is' : `${formatCount(invalid)} rows are`} invalid; nothing was sent from any manifest`,
    `\`vidbatch validate ${quoted(name)}\` shows ${invalid === 1 ? 'it' : 'them'}; --keep-going sends the valid rows.`,
  );
}

/** Warns, before anything is sent, when the rows will or may miss their deadline. */
async function warnOfDeadline(
  db: Database,
  { batch }: Produced,
  { deadline }: ProduceOptions,
  { err }: Pick<Io, 'err'>,
): Promise<void> {
  if (deadline === undefined || deadline.at === null) return;
  const seen = await outlookOf(db, batch, deadline);
  const chance = chanceOf(seen, deadline.at);
  if (chance === 'met') return;
  const words = chance === 'missed' ? 'will be missed' : 'may be missed';
  err(`${batch.name}: the deadline ${deadline.at.toISOString()} ${words}: ${seen.told}`);
}

/** Warns, before anything is sent, when the budget does not pay for all rows. */
async function warnOfBudget(db: Database, { batch }: Produced, { err }: Pick<Io, 'err'>): Promise<void> {
  const status = await readBudgetStatus(db, batch.id);
  if (status === undefined || status.beyond === 0) return;
  err(`${batch.name}: the budget does not pay for all rows: ${formatBudget(status)}`);
}

/** `columnsTold`: the plan has named the columns already. */
export function formatProduced(produced: Produced, columnsTold = false): string {
  const { batch, rows, added, known, renamed, updated, pruned, invalid, columns } = produced;
  const parts = [rows === 1 ? '1 row' : `${formatCount(rows)} rows`, `${formatCount(added)} new`];
  if (known > 0) parts.push(`${formatCount(known)} known`);
  if (renamed > 0) parts.push(`${formatCount(renamed)} renamed`);
  if (updated > 0) parts.push(`${formatCount(updated)} updated`);
  if (pruned > 0) parts.push(`${formatCount(pruned)} cancelled`);
  if (invalid > 0) parts.push(`${formatCount(invalid)} invalid`);
  const lines = (columnsTold ? [] : formatColumns(columns)).map((line) => `\n  ${line}`);
  return `${batch.name}: ${parts.join(' · ')}${lines.join('')}`;
}
