import { realpath } from 'node:fs/promises';
import { priceHint, formatUnpriced } from '../batch/budget.ts';
import { withVersions, checkReopening } from '../batch/retry.ts';
import { crashPoint } from '../core/crash-points.ts';
import { refusal } from '../core/errors.ts';
import { formatCount } from '../core/units.ts';
import { quoted } from '../core/text.ts';
import { transaction } from '../database/database.ts';
import { logEvent } from '../ledger/batches.ts';
import type { Batch } from '../ledger/batches.ts';
import { readBudgetStatus } from '../ledger/money/budget.ts';
import type { BudgetStatus } from '../ledger/money/budget.ts';
import { keepImport } from '../ledger/import/stage.ts';
import { CORRECTABLE, retryChanged } from '../ledger/operator/retry.ts';
import type { Chosen, Versions } from '../ledger/operator/retry.ts';
import { adoptUnmatched } from '../ledger/send/unmatched-attempts.ts';
import { rowsOf } from '../operate/summary.ts';
import type { LedgerApp } from '../worker/app.ts';
import { configOf, isOn } from './flags.ts';
import { operator } from '../core/operator.ts';
import type { Io } from './io.ts';
import { readOptions } from './manifest-flags.ts';
import { ask, formatChoice } from './retry-choice.ts';
import type { Done, RetryFlags } from './retry-choice.ts';

/** `retry --changed`: rejected and invalid rows take their version from this manifest. */
export async function retryChangedOnes(
  { db }: LedgerApp,
  batch: Batch,
  source: string,
  chosen: Chosen,
  flags: RetryFlags,
  io: Io,
): Promise<Done> {
  const options = { ...readOptions(flags), models: configOf(flags).models, stdin: io.stdin, chosen };
  return withVersions(db, batch, source, options, async (versions, importId) => {
    const { changed, invalid, elsewhere } = versions;
    if (changed === 0 && invalid > 0) {
      throw refusal(
        'INVALID_ROWS',
        `${source}: ${rowsOf(invalid)} with new content still cannot be sent; the batch was not changed`,
        `\`vidbatch validate ${quoted(source)}\` shows why.`,
      );
    }
    if (elsewhere > 0 && !isOn(flags.again)) {
      throw refusal(
        'SENT_ELSEWHERE',
        `${source}: another batch has already sent the new content of ${rowsOf(elsewhere)} of batch ${batch.name}; nothing was changed`,
        '--again sends this content once more, and pays for it once more.',
      );
    }
    await ask(io, flags, changed, `${batch.name}: ${rowsOf(changed)} take the version of ${source}`);
    const taken =
      changed === 0
        ? 0
        : await transaction(db, async (session) => {
            await keepImport(session, importId);
            await checkReopening(session, batch, { ...chosen, states: CORRECTABLE });
            const moved = await retryChanged(session, batch.id, importId, chosen, operator());
            crashPoint('rows-retried');
            await logEvent(
              session,
              'retry --changed',
              `${moved} rows from ${source}${formatChoice(chosen)}`,
              batch.id,
              operator(),
            );
            await adoptUnmatched(session, batch.id, false);
            return moved;
          });
    const status = await readBudgetStatus(db, batch.id);
    return {
      text: told(taken, versions, await sentBy(batch, source, taken), {
        source,
        batch: batch.name,
        waits: status && unpriced(batch, status),
      }),
      json: { batch: batch.name, retried: taken, ...versions },
    };
  });
}

/** Names the commands that send the new versions. If these came from another file, the batch's own manifest is outdated. */
async function sentBy({ source: own }: Batch, source: string, taken: number): Promise<string> {
  const what = taken === 1 ? 'it' : 'them';
  if (own === '-') return `\`vidbatch work --drain\` sends ${what}`;
  return own === (source === '-' ? '-' : await realpath(source))
    ? `\`vidbatch work --drain\` or \`vidbatch run ${quoted(own)}\` sends ${what}`
    : `\`vidbatch work --drain\` sends ${what}; put the change into ${own}, too, before you run that again`;
}

/** A new duration or model has another price, and this command reads no price file. */
function unpriced(batch: Batch, { unpriced }: BudgetStatus): string | undefined {
  return unpriced === 0
    ? undefined
    : `${formatUnpriced(unpriced)}, and the batch has a budget: ${priceHint(batch)}`;
}

function told(
  taken: number,
  { invalid, same, others, unknown }: Versions,
  sent: string,
  { source, batch, waits }: { source: string; batch: string; waits: string | undefined },
): string {
  const parts = [
    taken === 0
      ? 'nothing to retry: the manifest changes no rejected or invalid row'
      : `${rowsOf(taken)} took the manifest's version; ${sent}`,
  ];
  if (waits !== undefined) parts.push(waits);
  if (invalid > 0) parts.push(`${formatCount(invalid)} changed but still cannot be sent`);
  if (same > 0) parts.push(`${formatCount(same)} unchanged`);
  if (others > 0) parts.push(`${formatCount(others)} changed but neither rejected nor invalid: not retried`);
  if (unknown > 0) {
    const [are, them, fresh] =
      unknown === 1 ? ['row is', 'it', 'a new row'] : ['rows are', 'them', 'new rows'];
    const command =
      source === '-' ? '`vidbatch submit`' : `\`vidbatch submit ${quoted(source)} --batch ${quoted(batch)}\``;
    parts.push(
      `${formatCount(unknown)} ${are} not in the batch by ${unknown === 1 ? 'its id' : 'their ids'}: ${command} adds ${them} as ${fresh}, which ${unknown === 1 ? 'is' : 'are'} paid. It asks first if only the id changed`,
    );
  }
  return parts.join('; ');
}
