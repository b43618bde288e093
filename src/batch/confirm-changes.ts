import { type VidbatchError, refusal } from '../core/errors.ts';
import { shownId } from '../core/identity.ts';
import { quoted } from '../core/text.ts';
import { either, formatCount, plural } from '../core/units.ts';
import type { Comparison, Difference } from '../ledger/import/comparison.ts';
import type { IdComparison, Renamed } from '../ledger/import/renamed-ids.ts';

/** What a person has agreed to, and what the messages need. */
export interface Consent {
  name: string;
  keyScheme: 'id' | 'h1';
  vanished?: 'prune' | 'keep';
  add?: boolean;
  again?: boolean;
  /** The earlier source of the batch's manifest, if it is another one. */
  otherSource?: string;
  /** The batch that rows of the manifest were exported from, if it is another one. */
  exportOf?: string;
  /** The --map that keeps columns unsent, if they would be sent now. */
  unsent?: string;
}

/**
 * Refuses changes of a manifest that could cost money unexpectedly, the highest risk first. Undefined: no such changes, or
 * a person has agreed to them.
 */
export function refuseChanges(
  comparison: Comparison & IdComparison,
  consent: Consent,
): VidbatchError | undefined {
  const { name, keyScheme, vanished, add, again, otherSource, exportOf, unsent = '' } = consent;
  const asBefore = unsent === '' ? '' : `${unsent} leaves these columns unsent, as before, and continues. `;
  const renamed = add === true ? undefined : refuseRenamedIds(comparison, consent);
  if (renamed !== undefined) return renamed;
  if (otherSource !== undefined && comparison.known === 0 && add !== true) {
    return refusal(
      'NO_ROW_IN_COMMON',
      `no row of the manifest is in batch ${name}, which was made from ${otherSource}; nothing was sent now`,
      `${exportOf === undefined ? 'If it is another manifest, --batch NAME makes a new batch.' : exportHint(exportOf)} --add sends all of its rows as new videos of ${name}, and pays for them.`,
    );
  }
  const { changedPaid, outdated, vanishedPending, vanishedPaid, elsewhere, fresh } = comparison;
  if (changedPaid.count > 0) {
    return refusal(
      'CHANGED_AFTER_SENT',
      `${plural(changedPaid.count, 'row')} of batch ${name} changed after ${either(changedPaid.count, 'it was', 'they were')} sent; nothing was sent now${formatExamples(changedPaid)}`,
      `${asBefore}${asBefore === '' ? 'Undo' : 'Or undo'} the change. Under a new id, the new version is a new video, and is paid.`,
    );
  }
  if (outdated.count > 0) {
    return refusal(
      'NEWER_IN_LEDGER',
      `${plural(outdated.count, 'row')} of batch ${name} ${either(outdated.count, 'has', 'have')} a newer version in the ledger, from \`retry --changed\` or an edited export; nothing was sent now${formatExamples(outdated)}`,
      'Put the newer version into the manifest, too. Under a new id, the older version is a new video, and is paid.',
    );
  }
  if (keyScheme === 'h1' && fresh > 0 && vanishedPaid > 0 && add !== true) {
    return refusal(
      'LOOKS_LIKE_EDITS',
      `${plural(fresh, 'row')} ${either(fresh, 'is', 'are')} new in the manifest of batch ${name}, and ${plural(vanishedPaid, 'row')} that ${either(vanishedPaid, 'was sent is', 'were sent are')} gone: edited rows look like this; nothing was sent now`,
      `${asBefore}--add sends the new rows as new videos, and pays for them; the sent ones stay in the ledger.`,
    );
  }
  if (vanishedPending.count > 0 && vanished === undefined) {
    return refusal(
      'ROWS_VANISHED',
      `${plural(vanishedPending.count, 'row')} of batch ${name} still ${either(vanishedPending.count, 'waits to be sent, and is', 'wait to be sent, and are')} gone from the manifest; nothing was sent now${formatExamples(vanishedPending)}`,
      '--prune cancels them; --keep sends them, and pays for them.',
    );
  }
  if (elsewhere.count > 0 && again !== true) {
    return refusal(
      'SENT_ELSEWHERE',
      `${plural(elsewhere.count, 'row')} of batch ${name} ${either(elsewhere.count, 'was', 'were')} sent in another batch already; nothing was sent now${formatExamples(elsewhere)}`,
      `${exportOf === undefined ? sameBatchHint(elsewhere.examples) : `${exportHint(exportOf)} `}--again sends them once more, and pays for them once more.`,
    );
  }
  return undefined;
}

function exportHint(batch: string): string {
  return `The manifest is an export of ${batch}: --batch ${quoted(batch)} submits it there.`;
}

/** A renamed file makes a new batch, so its rows seem to be sent elsewhere. In their own batch they are known rows. */
function sameBatchHint(examples: readonly Difference[]): string {
  const [batch, ...others] = new Set(examples.map((one) => one.batch));
  if (batch === undefined || others.length > 0) return '';
  return `If the manifest continues batch ${batch}: --batch ${quoted(batch)} sends only what is new there. `;
}

/** New ids for rows that the ledger has: it cannot tell whether they are the same videos. */
function refuseRenamedIds(
  { renamed, alike }: IdComparison,
  { name, vanished }: Consent,
): VidbatchError | undefined {
  const waiting = vanished === 'prune' ? 0 : renamed.waiting;
  const same = renamed.paid + waiting;
  if (same > 0) {
    const was = renamed.paid === 0 ? 'waits' : waiting === 0 ? 'was sent' : 'was sent, or waits,';
    return refusal(
      'RENAMED_IDS',
      `${plural(same, 'row')} of batch ${name} ${either(same, 'has a new id', 'have new ids')} in the manifest: the same content ${was} under ${either(same, 'another id', 'other ids')}; nothing was sent now${formatPairs(renamed.examples.slice(0, same), same)}`,
      '--rename gives these rows their new ids, and sends nothing for them. --add sends them as new videos, which are paid, too.',
    );
  }
  if (alike.count > 0) {
    const [id, it, video] = alike.count === 1 ? ['id', 'it', 'a new video'] : ['ids', 'them', 'new videos'];
    return refusal(
      'RENAMED_IDS',
      `${plural(alike.count, 'row')} of batch ${name} ${either(alike.count, 'seems to be a sent row', 'seem to be sent rows')} whose id and content changed; nothing was sent now${formatPairs(alike.examples, alike.count)}`,
      `Undo the change of the ${id}, or say --add: it sends ${it} as ${video}, and pays for ${it}.`,
    );
  }
  return undefined;
}

type Versions = { ours?: string | null; theirs?: string | null };

function formatPairs(examples: readonly (Renamed & Versions)[], count: number): string {
  const lines = examples.map(
    (one) =>
      `\n  line ${one.line}, ${shownId(one.from)} → ${shownId(one.to)} (${one.state})${formatVersions(one)}`,
  );
  return lines.join('') + formatMore(count - examples.length);
}

function formatExamples({ examples, count }: Comparison['elsewhere']): string {
  const lines = examples.map((one) => {
    const where = one.batch === undefined ? formatVersions(one) : '';
    const batch = one.batch === undefined ? '' : `, in batch ${one.batch}`;
    return `\n  line ${one.line}, ${one.key}${batch} (${one.state})${where}`;
  });
  return lines.join('') + formatMore(count - examples.length);
}

function formatMore(more: number): string {
  return more > 0 ? `\n  and ${formatCount(more)} more` : '';
}

function formatVersions({ ours, theirs }: Versions): string {
  return [
    ours == null ? '' : `\n    ledger:   ${cut(ours)}`,
    theirs == null ? '' : `\n    manifest: ${cut(theirs)}`,
  ].join('');
}

function cut(text: string): string {
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}
