import { realpath } from 'node:fs/promises';
import { priceHint, formatUnpriced } from '../../batch/budget.ts';
import { profileNews, takeProfile } from '../../batch/batch-profile.ts';
import type { ProduceOptions } from '../../batch/producer.ts';
import { withVersions, checkReopening } from '../../batch/retry.ts';
import { crashPoint } from '../../core/crash-points.ts';
import { refusal } from '../../core/errors.ts';
import { operator } from '../../core/operator.ts';
import { quoted } from '../../core/text.ts';
import { formatCount, plural } from '../../core/units.ts';
import { transaction, type Database } from '../../database/database.ts';
import { logEvent, type Batch } from '../../ledger/batches.ts';
import { keepImport } from '../../ledger/import/stage.ts';
import { readBudgetStatus } from '../../ledger/money/budget.ts';
import { CORRECTABLE, retryChanged, type Chosen, type Versions } from '../../ledger/operator/retry.ts';
import { adoptUnmatched } from '../../ledger/send/unmatched-attempts.ts';

/** The result of a retry, for people and for `--json`. */
export interface Retried {
  text: string;
  json: Record<string, unknown>;
}

interface Options {
  read: ProduceOptions & { chosen: Chosen };
  /** The choice in words, for the trail. */
  choice: string;
  /** Content that another batch has sent may be sent and paid again. */
  again: boolean;
  agree: (rows: number, what: string) => Promise<void>;
}

/** `retry --changed`: rejected and invalid rows take their version from this manifest. */
export async function retryWithManifest(
  db: Database,
  batch: Batch,
  source: string,
  { read, choice, again, agree }: Options,
): Promise<Retried> {
  return withVersions(db, batch, source, read, async (versions, importId, named) => {
    const { changed, invalid, elsewhere } = versions;
    if (changed === 0 && invalid > 0) {
      throw refusal(
        'INVALID_ROWS',
        `${source}: ${plural(invalid, 'row')} with new content still cannot be sent; the batch was not changed`,
        `\`vidbatch validate ${quoted(source)}\` shows why.`,
      );
    }
    if (elsewhere > 0 && !again) {
      throw refusal(
        'SENT_ELSEWHERE',
        `${source}: another batch has already sent the new content of ${plural(elsewhere, 'row')} of batch ${batch.name}; nothing was changed`,
        '--again sends this content once more, and pays for it once more.',
      );
    }
    await agree(changed, `${batch.name}: ${plural(changed, 'row')} take the version of ${source}`);
    const apply = (): Promise<number> =>
      transaction(db, async (session) => {
        await keepImport(session, importId);
        await checkReopening(session, batch, { ...read.chosen, states: CORRECTABLE });
        const taken = named && (await profileNews(session, batch, named));
        if (taken !== undefined) await takeProfile(session, batch, taken, operator());
        const moved = await retryChanged(session, batch.id, importId, read.chosen, operator());
        crashPoint('rows-retried');
        const detail = `${moved} rows from ${source}${choice}`;
        await logEvent(session, 'retry --changed', detail, batch.id, operator());
        await adoptUnmatched(session, batch.id, false);
        return moved;
      });
    const taken = changed === 0 ? 0 : await apply();
    const { unpriced = 0 } = (await readBudgetStatus(db, batch.id)) ?? {};
    const parts = [
      taken === 0
        ? 'nothing to retry: the manifest changes no rejected or invalid row'
        : `${plural(taken, 'row')} took the manifest's version; ${await formatSender(batch, source, taken)}`,
      // A new duration or model has another price, and this command reads no price file.
      ...(unpriced === 0
        ? []
        : [`${formatUnpriced(unpriced)}, and the batch has a budget: ${priceHint(batch)}`]),
      ...formatOthers(versions, source, batch.name),
    ];
    return { text: parts.join('; '), json: { batch: batch.name, retried: taken, ...versions } };
  });
}

/** The commands that send the new versions. If these came from another file, the batch's own manifest is outdated. */
async function formatSender({ source: own }: Batch, source: string, taken: number): Promise<string> {
  const what = taken === 1 ? 'it' : 'them';
  if (own === '-') return `\`vidbatch work --drain\` sends ${what}`;
  return own === (source === '-' ? '-' : await realpath(source))
    ? `\`vidbatch work --drain\` or \`vidbatch run ${quoted(own)}\` sends ${what}`
    : `\`vidbatch work --drain\` sends ${what}; make the change in ${own}, too, before you run that file again`;
}

/** The rows of the manifest that the command left unchanged. */
function formatOthers({ invalid, same, others, unknown }: Versions, source: string, batch: string): string[] {
  const parts: string[] = [];
  if (invalid > 0) parts.push(`${formatCount(invalid)} changed but still cannot be sent`);
  if (same > 0) parts.push(`${formatCount(same)} unchanged`);
  if (others > 0) parts.push(`${formatCount(others)} changed but neither rejected nor invalid: not retried`);
  if (unknown > 0) {
    const [are, ids, added] =
      unknown === 1
        ? ['row is', 'its id', 'it as a new row, which is']
        : ['rows are', 'their ids', 'them as new rows, which are'];
    const command =
      source === '-' ? '`vidbatch submit`' : `\`vidbatch submit ${quoted(source)} --batch ${quoted(batch)}\``;
    parts.push(
      `${formatCount(unknown)} ${are} not in the batch by ${ids}: ${command} adds ${added} paid. It asks first if only the id changed`,
    );
  }
  return parts;
}
