import { isDeepStrictEqual } from 'node:util';
import { profileNews, takeProfile, type ProfileNews } from './batch-profile.ts';
import { putBudget } from './budget.ts';
import { checkSource, type Candidate } from './candidate.ts';
import { putDeadline, type Deadline } from './deadline.ts';
import { refuseChanges } from './confirm-changes.ts';
import { refusal, usageError } from '../core/errors.ts';
import { defined } from '../core/json.ts';
import type { Money } from '../core/money/money.ts';
import { crashPoint } from '../core/crash-points.ts';
import { quoted } from '../core/text.ts';
import type { Window } from '../core/time/window.ts';
import type { Session } from '../database/database.ts';
import {
  countPaid,
  createBatch,
  findAndLockBatch,
  findBatch,
  updateSource,
  logEvent,
  rebindBatch,
  updateLayout,
  type Batch,
  setPriority,
} from '../ledger/batches.ts';
import { requireOpen } from '../ledger/closed.ts';
import { compare, type Comparison } from '../ledger/import/comparison.ts';
import { mergeRows, type Merged } from '../ledger/import/merge-rows.ts';
import { priceRows } from '../ledger/money/row-price.ts';
import { compareIds, renameRows, SAME_IDS } from '../ledger/import/renamed-ids.ts';
import { keepImport } from '../ledger/import/stage.ts';
import { putBatchUnder } from '../ledger/send/window-change.ts';
import { adoptUnmatched } from '../ledger/send/unmatched-attempts.ts';
import { ensureProvider } from '../ledger/send/provider.ts';
import { restartCounts, setFailureLimits, type FailureLimits } from '../ledger/send/failure-limit.ts';
import { keepProfile } from '../ledger/profiles.ts';
import { mapFlags, type Understanding } from '../manifest/columns.ts';
import { isMangledId } from '../manifest/request/text-flaws.ts';
import { keptOf } from '../provider/profile/remembered.ts';
import { DEFAULT_PROFILE, loadProfile, type LoadedProfile } from '../provider/profile/load.ts';

/** What a manifest requests for its batch, and what a person agrees to. */
export interface MergeOptions extends FailureLimits {
  /** Name of the batch; default: the file's name without extension. */
  batch?: string;
  /** Whether pending rows that are gone from the file are cancelled, or stay. */
  vanished?: 'prune' | 'keep';
  /** New ids with the content of known rows rename these rows. */
  rename?: boolean;
  /** New rows that look like edited or renamed sent rows are new videos. */
  add?: boolean;
  /** Content that another batch has sent is sent again. */
  again?: boolean;
  /** The person's name, for the event log. */
  who?: string;
  /** The provider to which this batch's task ids belong. */
  origin?: string;
  /** A batch that has task ids of another provider continues at this provider. */
  rebind?: boolean;
  /** The hours of its rows; null: any time. Absent: no change, as in the next four fields. */
  window?: Window | null;
  deadline?: Deadline;
  /** Added to the priority of each row; from -100 to 100, higher first. */
  priority?: number;
  /** The most that the whole batch may cost; null: no limit. */
  budget?: Money | null;
  /** Runs last in the transaction of the merge. If it throws, the whole transaction is undone. */
  alongside?: (session: Session, batch: Batch) => Promise<void>;
}

/** The result of a merge: how many rows it added, updated, cancelled, kept and renamed. */
export type MergeResult = Merged & {
  batch: Batch;
  known: number;
  renamed: number;
  waitsElsewhere?: Comparison['waitsElsewhere'];
  /** How the named profile changed what the batch remembers. */
  profile?: ProfileNews;
};

/** Called in a rehearsal, before the merge. True: nothing else can refuse the merge, so it need not run. */
export type Look = (session: Session, batch: Batch, comparison: Comparison) => Promise<boolean>;

/**
 * Merges the staged rows into the batch, or refuses them. With `look` it is a rehearsal, which the caller rolls back.
 */
export async function mergeInto(
  session: Session,
  candidate: Candidate,
  options: MergeOptions,
  look?: Look,
): Promise<MergeResult> {
  const { read, staged, path, named, fresh } = candidate;
  await requireOpen(session);
  if (read.staged > 0) await keepImport(session, read.importId);
  const { batch, layout } = await openBatch(session, candidate, options);
  await checkProvider(session, batch, options);
  // A plan of a batch that does not exist yet finds no other profile.
  const taken =
    named === undefined || fresh !== undefined ? undefined : await profileNews(session, batch, named);
  const renamed = options.rename === true ? await renameRows(session, read, batch.id, options.who) : 0;
  const comparison = await compare(session, read, batch.id);
  if (batch.state === 'cancelled' && comparison.fresh + comparison.changed > 0) throw cancelled(batch);
  const byId = batch.keyScheme === 'id';
  const ids = byId ? await compareIds(session, read, batch.id, comparison, isMangledId) : SAME_IDS;
  const [exportOf] = staged.others;
  const objected = refuseChanges(
    { ...comparison, ...ids },
    {
      keyScheme: batch.keyScheme,
      ...options,
      name: batch.name,
      ...(batch.source === path || staged.own > 0 ? {} : { otherSource: batch.source }),
      ...(exportOf === undefined ? {} : { exportOf }),
      unsent: mapFlags(keptBefore(batch, staged.columns)),
    },
  );
  if (objected !== undefined) throw objected;
  const { known, waitsElsewhere } = comparison;
  if (look !== undefined && (await look(session, batch, comparison)))
    return { added: 0, updated: 0, pruned: 0, batch, known, renamed };
  await bindProvider(session, batch, options);
  if (taken !== undefined) await takeProfile(session, batch, taken, options.who);
  const merged = await mergeRows(session, read, batch.id, comparison, {
    prune: options.vanished === 'prune',
    exported: staged.own > 0,
  });
  await priceRows(session, batch.id, candidate.pricing);
  await adoptUnmatched(session, batch.id);
  await putBudget(session, batch, options.budget, options.who);
  // An export of this batch does not change its layout: the rows hold their own columns.
  if (staged.own === 0) {
    if (!isDeepStrictEqual(layout, layoutOf(batch))) await updateLayout(session, batch.id, layout);
    await follow(session, batch, path, options.who);
  }
  if (options.window !== undefined) await putBatchUnder(session, batch.id, options.window);
  if (options.deadline !== undefined) await putDeadline(session, batch, options.deadline);
  if (options.priority !== undefined) await setPriority(session, batch.id, options.priority);
  if (options.failShare !== undefined || options.canaryRows !== undefined)
    await setFailureLimits(session, batch.id, options);
  if (needsTrial(batch, options, merged)) await restartCounts(session, batch.id);
  await options.alongside?.(session, batch);
  crashPoint('rows-merged');
  return {
    ...merged,
    batch,
    known,
    renamed,
    ...defined({ waitsElsewhere }),
    ...(taken && { profile: taken.news }),
  };
}

type Layout = Pick<Batch, 'format' | 'delimiter' | 'columns'>;

function layoutOf({ format, delimiter, columns }: Batch): Layout {
  return { format, delimiter, columns };
}

/**
 * Makes or finds the batch, and locks it, so that two producers never merge into it at once. A plan neither makes nor locks
 * it.
 */
async function openBatch(
  session: Session,
  { name, path, manifest, staged, named, planOnly, fresh }: Candidate,
  options: MergeOptions,
): Promise<{ batch: Batch; layout: Layout }> {
  const { scheme } = staged;
  const layout = {
    format: manifest.format,
    delimiter: manifest.delimiter ?? null,
    columns: manifest.layout?.map((header) => staged.columns.map.get(header) ?? header) ?? null,
  };
  const asked = { name, source: path, keyScheme: scheme, ...layout };
  if (fresh !== undefined) return { batch: { ...NEW_BATCH, ...asked }, layout };
  // Another producer may have made or moved the batch since the manifest was read.
  const batch =
    (planOnly ? await findBatch(session, name) : undefined) ?? (await makeBatch(session, asked, named));
  if (options.batch === undefined) checkSource(batch, path, staged);
  if (batch.keyScheme !== scheme) throw otherScheme(batch, staged.columns);
  return { batch, layout };
}

/** The properties of a new batch. */
const NEW_BATCH = {
  id: 0,
  origin: null,
  profile: '',
  profileId: 0,
  state: 'active',
  createdAt: new Date(),
  deadline: null,
  onDeadline: 'wait',
  priority: 0,
  failShare: null,
  canaryRows: null,
  stopReason: null,
} as const;

async function makeBatch(
  session: Session,
  asked: Omit<Parameters<typeof createBatch>[1], 'profileId'>,
  named: LoadedProfile | undefined,
): Promise<Batch> {
  const profileId = await keepProfile(session, keptOf(named ?? loadProfile(DEFAULT_PROFILE)));
  await createBatch(session, { ...asked, profileId });
  return findAndLockBatch(session, asked.name);
}

/** A batch remembers the last path of its manifest. */
async function follow(session: Session, batch: Batch, path: string, who: string | undefined): Promise<void> {
  if (path === '-' || path === batch.source) return;
  await updateSource(session, batch.id, path);
  await logEvent(session, 'manifest', `${batch.source} → ${path}`, batch.id, who);
  batch.source = path;
}

/**
 * A stopped batch continues when its rows or its rules have changed. New rows start a new canary trial. The same command
 * again changes nothing.
 */
function needsTrial(batch: Batch, { failShare, canaryRows }: MergeOptions, merged: Merged): boolean {
  const fresh = merged.added + merged.updated;
  return (
    (failShare !== undefined && failShare !== batch.failShare) ||
    (canaryRows !== undefined && (canaryRows !== batch.canaryRows || (canaryRows !== null && fresh > 0))) ||
    (batch.state === 'stopped' && fresh + merged.pruned > 0)
  );
}

function cancelled(batch: Batch): Error {
  return refusal(
    'BATCH_CANCELLED',
    `batch ${batch.name} was cancelled; nothing was sent`,
    `\`vidbatch retry ${quoted(batch.name)}\` takes its rows up again. --batch NAME makes a new batch, and pays for all of its rows.`,
  );
}

function otherScheme(batch: Batch, columns: Understanding): Error {
  if (batch.keyScheme === 'id') {
    return refusal(
      'KEYS_CHANGED',
      `batch ${batch.name} knows its rows by id, and this manifest has no ids`,
      'Restore its id column; --map id=<header> says which column that is.',
    );
  }
  const unsent = keptBefore(batch, columns);
  const understood = [...columns.understood].some(([, field]) => field === 'id');
  return refusal(
    'KEYS_CHANGED',
    `batch ${batch.name} knows its rows by their content, and this manifest has ids`,
    `${understood ? `Continue with ${mapFlags(unsent)}` : 'Submit it without the id column, or without its --map'}. In a new batch, all of its rows are new videos, and are paid.`,
  );
}

/** Headers that were unsent columns of the batch, and that vidbatch now understands: header → header. */
function keptBefore(batch: Batch, { understood }: Understanding): Map<string, string> {
  return new Map(
    [...understood.keys()].flatMap((header) =>
      batch.columns?.includes(header) === true ? [[header, header]] : [],
    ),
  );
}

/** @throws VidbatchError exit 2 when rows may have been accepted by another provider. */
async function checkProvider(session: Session, batch: Batch, options: MergeOptions): Promise<void> {
  const { origin } = options;
  if (origin === undefined || batch.origin === origin) return;
  const paid = batch.origin === null ? 0 : await countPaid(session, batch.id);
  if (paid > 0 && options.rebind !== true) {
    throw usageError(
      'OTHER_PROVIDER',
      `batch ${batch.name} belongs to ${batch.origin}, which may have accepted ${paid} of its rows; VIDBATCH_BASE_URL is ${origin}`,
      'Set VIDBATCH_BASE_URL back. Or use --rebind: waiting rows then go to this provider. --batch NAME makes a new batch, and pays for all of its rows.',
    );
  }
}

async function bindProvider(session: Session, batch: Batch, { origin }: MergeOptions): Promise<void> {
  if (origin === undefined || batch.origin === origin) return;
  await ensureProvider(session, origin);
  await rebindBatch(session, batch.id, origin);
  batch.origin = origin;
}
