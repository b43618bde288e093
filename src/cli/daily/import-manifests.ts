import { formatProfileNews } from '../../batch/batch-profile.ts';
import { formatBudget } from '../../batch/budget.ts';
import {
  batchName,
  checkHeader,
  checkUnchanged,
  openCandidate,
  type Candidate,
} from '../../batch/candidate.ts';
import { chanceOf } from '../../batch/deadline.ts';
import { outlookOf } from '../../batch/outlook.ts';
import { foresee } from '../../batch/plan.ts';
import { bringIn, rehearse, type Produced, type ProduceOptions } from '../../batch/producer.ts';
import { refusal } from '../../core/errors.ts';
import { quoted } from '../../core/text.ts';
import { formatCount, plural } from '../../core/units.ts';
import { within } from '../../core/within.ts';
import type { Database } from '../../database/database.ts';
import { readOutline } from '../../ledger/import/outline.ts';
import { readBudgetStatus } from '../../ledger/money/budget.ts';
import { formatColumns } from '../../manifest/columns.ts';
import type { Manifest } from '../../manifest/entry.ts';
import { openManifest } from '../../manifest/manifest.ts';
import { tellLocal } from '../output/clock.ts';
import { FaultReport } from '../output/fault-report.ts';
import type { Io } from '../output/io.ts';
import type { Interrupt } from '../signals.ts';
import { Progress } from '../output/terminal.ts';
import { formatWaits } from './show-plan.ts';

/** A manifest that the command line names. Standard input is opened only when there is a ledger. */
export interface NamedManifest {
  source: string;
  manifest?: Manifest;
}

/** Checks names and headers before a ledger is opened, so that a mistake in them makes no ledger. */
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

/** Imports all manifests into the ledger, or none. Each is read and staged once. */
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

/** An interrupted command waits at most this long to delete its staged rows. The next import deletes them otherwise. */
const CLOSING_MS = 3_000;

/**
 * Like `importManifests`, but a person agrees to the staged rows first. The imported rows are the rows that were shown.
 * Undefined: the command was interrupted before the import.
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
    const closing = closeAll(candidates).catch(() => undefined);
    await within(CLOSING_MS, closing, () => undefined);
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
    const faults = new FaultReport({ err: (line) => progress.above(line) }, 20);
    const reporting: ProduceOptions = {
      ...options,
      onFault: (fault, name) => faults.add(fault, name),
      onProgress: (rows) => progress.show(`${source}: ${formatCount(rows)} rows read`),
    };
    try {
      candidates.push(await openCandidate(db, source, reporting, manifest));
    } finally {
      progress.clear();
      faults.finish(`; \`vidbatch validate ${quoted(source)} --all\` shows them all`);
    }
  }
}

async function closeAll(candidates: readonly Candidate[]): Promise<void> {
  for (const one of candidates) await one.close();
}

/** Checks all of several candidates before it imports the first. */
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
  const refused = await rehearse(db, candidate, options, async (session, batch, comparison) => {
    const groups = await readOutline(session, candidate.read, batch.id, candidate.pricing);
    return foresee(session, { batch, candidate, comparison, groups }, options);
  });
  if (refused === undefined) return;
  if (refused.code !== 'INVALID_ROWS') throw refused;
  const { name } = candidate.manifest;
  const { invalid } = candidate.staged;
  throw refusal(
    'INVALID_ROWS',
    `${name}: ${plural(invalid, 'row is', 'rows are')} invalid; nothing was sent from any manifest`,
    `\`vidbatch validate ${quoted(name)}\` shows ${invalid === 1 ? 'it' : 'them'}; --keep-going sends the valid rows.`,
  );
}

/** Warns before anything is sent if the rows will or may miss their deadline. */
async function warnOfDeadline(
  db: Database,
  { batch }: Produced,
  { deadline }: ProduceOptions,
  { err }: Pick<Io, 'err'>,
): Promise<void> {
  if (deadline === undefined || deadline.at === null) return;
  const outlook = await outlookOf(db, batch, deadline);
  const chance = chanceOf(outlook, deadline.at);
  if (chance === 'met') return;
  const words = chance === 'missed' ? 'will be missed' : 'may be missed';
  err(`${batch.name}: the deadline ${tellLocal(Date.now())(deadline.at)} ${words}: ${outlook.told}`);
}

/** Warns before anything is sent if the budget does not pay for all rows. */
async function warnOfBudget(db: Database, { batch }: Produced, { err }: Pick<Io, 'err'>): Promise<void> {
  const budget = await readBudgetStatus(db, batch.id);
  if (budget === undefined || budget.beyond === 0) return;
  err(`${batch.name}: the budget does not pay for all rows: ${formatBudget(budget)}`);
}

/** `columnsShown`: the plan has named the columns already, and the rows that wait elsewhere. */
export function formatProduced(produced: Produced, columnsShown = false): string {
  const { batch, rows, added, known, renamed, updated, pruned, invalid, columns, profile, waitsElsewhere } =
    produced;
  const parts = [plural(rows, 'row'), `${formatCount(added)} new`];
  for (const [name, n] of Object.entries({ known, renamed, updated, cancelled: pruned, invalid })) {
    if (n > 0) parts.push(`${formatCount(n)} ${name}`);
  }
  const told = [
    ...(profile === undefined ? [] : [formatProfileNews(profile)]),
    ...(columnsShown ? [] : formatColumns(columns)),
    ...(columnsShown || waitsElsewhere === undefined ? [] : [formatWaits(waitsElsewhere)]),
  ];
  const lines = told.map((line) => `\n  ${line}`);
  return `${batch.name}: ${parts.join(' · ')}${lines.join('')}`;
}
