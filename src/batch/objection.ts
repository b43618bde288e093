import type { VidbatchError } from '../core/errors.ts';
import { refusal } from '../core/errors.ts';
import type { Comparison, Difference } from '../ledger/import/comparison.ts';
import type { IdComparison, Renamed } from '../ledger/import/renamed-ids.ts';
import { shownId } from '../core/identity.ts';
import { quoted } from '../core/shell-word.ts';

export interface Consent {
  name: string;
  keyScheme: 'id' | 'h1';
  vanished?: 'prune' | 'keep';
  add?: boolean;
  again?: boolean;
  /** Where the batch's manifest came from so far, if this one came from elsewhere. */
  otherSource?: string;
  /** The batch that rows of the manifest are exported from, if it is another one. */
  exportOf?: string;
  /** The --map that keeps columns unsent as they were, if they would be sent now. */
  unsent?: string;
}

/**
 * Refuses what could cost money unexpectedly in a changed manifest; undefined when all is well.
 * Pure; the order is that of the risk.
 */
export function objection(
  comparison: Comparison & IdComparison,
  consent: Consent,
): VidbatchError | undefined {
  const { exportOf, unsent = '' } = consent;
  const asBefore = unsent === '' ? '' : `${unsent} leaves these columns unsent, as before, and goes on. `;
  const renamed = consent.add === true ? undefined : renamedIds(comparison, consent);
  if (renamed !== undefined) return renamed;
  if (consent.otherSource !== undefined && comparison.known === 0 && consent.add !== true) {
    return refusal(
      'NO_ROW_IN_COMMON',
      `no row of the manifest is in batch ${consent.name}, which was made from ${consent.otherSource}; nothing was sent now`,
      `${exportOf === undefined ? 'If it is another manifest, --batch NAME makes a new batch.' : exportHint(exportOf)} --add sends all of its rows as new videos of ${consent.name}, and pays for them.`,
    );
  }
  const { changedPaid, outdated, vanishedPending, vanishedPaid, elsewhere, fresh } = comparison;
  if (changedPaid.count > 0) {
    return refusal(
      'CHANGED_AFTER_SENT',
      `${rows(changedPaid.count)} of batch ${consent.name} changed after ${changedPaid.count === 1 ? 'it was' : 'they were'} sent; nothing was sent now${list(changedPaid.examples)}`,
      `${asBefore}${asBefore === '' ? 'Undo' : 'Or undo'} the change. Under a new id, the new version is a new video, and is paid.`,
    );
  }
  if (outdated.count > 0) {
    return refusal(
      'NEWER_IN_LEDGER',
      `${rows(outdated.count)} of batch ${consent.name} ${outdated.count === 1 ? 'has' : 'have'} a newer version in the ledger, from \`retry --changed\` or an edited export; nothing was sent now${list(outdated.examples)}`,
      'Put the newer version into the manifest, too. Under a new id, the older version is a new video, and is paid.',
    );
  }
  if (consent.keyScheme === 'h1' && fresh > 0 && vanishedPaid > 0 && consent.add !== true) {
    return refusal(
      'LOOKS_LIKE_EDITS',
      `${rows(fresh)} ${fresh === 1 ? 'is' : 'are'} new in the manifest of batch ${consent.name}, and ${rows(vanishedPaid)} that ${vanishedPaid === 1 ? 'was sent is' : 'were sent are'} gone: edited rows look like this; nothing was sent now`,
      `${asBefore}--add sends the new rows as new videos, and pays for them; the sent ones stay in the ledger.`,
    );
  }
  if (vanishedPending.count > 0 && consent.vanished === undefined) {
    return refusal(
      'ROWS_VANISHED',
      `${rows(vanishedPending.count)} of batch ${consent.name} still ${vanishedPending.count === 1 ? 'waits to be sent, and is' : 'wait to be sent, and are'} gone from the manifest; nothing was sent now${list(vanishedPending.examples)}`,
      '--prune cancels them; --keep sends them, and pays for them.',
    );
  }
  if (elsewhere.count > 0 && consent.again !== true) {
    return refusal(
      'SENT_ELSEWHERE',
      `${rows(elsewhere.count)} of batch ${consent.name} ${elsewhere.count === 1 ? 'was' : 'were'} sent in another batch already; nothing was sent now${list(elsewhere.examples)}`,
      `${exportOf === undefined ? '' : `${exportHint(exportOf)} `}--again sends them once more, and pays for them once more.`,
    );
  }
  return undefined;
}

function exportHint(batch: string): string {
  return `The manifest is an export of ${batch}: --batch ${quoted(batch)} submits it there.`;
}

/** New ids for rows that the ledger has: it cannot tell whether they are the same videos. */
function renamedIds(
  { renamed, alike }: IdComparison,
  { name, vanished }: Consent,
): VidbatchError | undefined {
  const waiting = vanished === 'prune' ? 0 : renamed.waiting;
  const same = renamed.paid + waiting;
  if (same > 0) {
    const was = renamed.paid === 0 ? 'waits' : waiting === 0 ? 'was sent' : 'was sent, or waits,';
    return refusal(
      'RENAMED_IDS',
      `${rows(same)} of batch ${name} ${same === 1 ? 'has a new id' : 'have new ids'} in the manifest: the same content ${was} under ${same === 1 ? 'another id' : 'other ids'}; nothing was sent now${pairs(renamed.examples.slice(0, same), same)}`,
      '--rename gives these rows their new ids, and sends nothing for them. --add sends them as new videos, which are paid, too.',
    );
  }
  if (alike.count > 0) {
    const one = alike.count === 1;
    return refusal(
      'RENAMED_IDS',
      `${rows(alike.count)} of batch ${name} ${one ? 'seems to be a sent row' : 'seem to be sent rows'} whose id and content changed; nothing was sent now${pairs(alike.examples, alike.count)}`,
      `Undo the change of the ${one ? 'id' : 'ids'}, or say --add: it sends ${one ? 'it as a new video, and pays for it' : 'them as new videos, and pays for them'}.`,
    );
  }
  return undefined;
}

function pairs(
  examples: readonly (Renamed & { ours?: string | null; theirs?: string | null })[],
  count: number,
): string {
  const lines = examples.map(({ line, from, to, state, ours, theirs }) => {
    const versions = [
      ours == null ? '' : `\n    ledger:   ${cut(ours)}`,
      theirs == null ? '' : `\n    manifest: ${cut(theirs)}`,
    ];
    return `\n  line ${line}, ${shownId(from)} → ${shownId(to)} (${state})${versions.join('')}`;
  });
  const more = count - examples.length;
  return lines.join('') + (more > 0 ? `\n  and ${more.toLocaleString('en')} more` : '');
}

function rows(count: number): string {
  return count === 1 ? '1 row' : `${count.toLocaleString('en')} rows`;
}

function list(examples: readonly Difference[]): string {
  return examples
    .map(({ key, line, state, ours, theirs, batch }) => {
      const where = `\n  line ${line}, ${key}${batch === undefined ? '' : `, in batch ${batch}`} (${state})`;
      const versions = [
        ours === null ? '' : `\n    ledger:   ${cut(ours)}`,
        theirs === null ? '' : `\n    manifest: ${cut(theirs)}`,
      ];
      return where + (batch === undefined ? versions.join('') : '');
    })
    .join('');
}

function cut(text: string): string {
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}
