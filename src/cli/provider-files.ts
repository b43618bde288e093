import { logAccepted } from '../worker/row-log.ts';
import { FINDING_TYPES } from '../results/audit/finding-type.ts';
import { withoutKeys } from '../results/audit/provider-file.ts';
import { audit } from '../results/audit/audit.ts';
import type { Audit } from '../results/audit/audit.ts';
import { EXIT, usageError } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { keepHeapSmall } from './heap.ts';
import type { Database } from '../database/database.ts';
import { readOrigins } from '../ledger/audit/pairing.ts';
import { priceOf } from '../core/money/prices.ts';
import { count } from '../core/format.ts';
import { auditText } from './audit-text.ts';
import type { SideBySide } from './audit-text.ts';
import { batchNamed } from './batch-named.ts';
import { openDifferences } from './difference-file.ts';
import { onInterrupt } from './interrupt.ts';
import { configOf, isOn, logOf } from './io.ts';
import type { GlobalFlags, Io } from './io.ts';
import { openAlone } from './ledger-alone.ts';
import { operator } from './operator.ts';
import { pricesOf } from './price-flags.ts';
import { Progress } from './progress.ts';
import { fileOptions, spanOptions } from './provider-file-flags.ts';
import type { ProviderFileFlags } from './provider-file-flags.ts';

/** Rows that are shown beside their tasks; the rest is counted. */
const MOST_ROWS = 20;

/** `reconcile --provider-file`: the provider's own files against ledger and polled tasks. Asks the provider nothing. */
export async function reconcileFiles(
  name: string | undefined,
  flags: ProviderFileFlags & GlobalFlags,
  io: Io,
): Promise<number> {
  const files = flags.providerFile ?? [];
  const options = { ...fileOptions(flags), ...spanOptions(flags) };
  const prices = await pricesOf(flags);
  const config = configOf(flags);
  const log = logOf(flags, io.interactive ? 'warn' : 'info');
  keepHeapSmall();
  const app = await openAlone(config, io);
  const interrupt = onInterrupt(io.quit);
  const progress = new Progress(io);
  const redact = withoutKeys(config.apiKey);
  const out = await openDifferences(flags.differences, files, redact);
  const rows: SideBySide[] = [];
  try {
    const batch = name === undefined ? null : await batchNamed(app.db, name);
    const origin = batch?.origin ?? config.baseUrl ?? (await onlyOrigin(app.db));
    const result = await audit(app.db, {
      ...options,
      files,
      origin,
      batch,
      redact,
      price: (model, duration) => priceOf(prices, { model, ...(duration === null ? {} : { duration }) }),
      ...(isOn(flags.accept) ? { accept: { who: operator(), reason: `found in ${files.join(', ')}` } } : {}),
      signal: interrupt.signal,
      onWarning: (text) => io.err(`warning: ${text}`),
      onProgress: (lines) => progress.show(`${count(lines)} lines`),
      onFinding: (finding) => out.write(finding),
      onVerdict: ({ batch: of, key, submissionId: _id, ...row }, verdict, accepted) => {
        if (accepted !== undefined) {
          const { attemptId, number: attempt, taskId } = accepted;
          logAccepted(log, { batch: of, key, attempt, attemptId, taskId, surplus: false, by: 'resolve' });
        }
        if (rows.length >= MOST_ROWS || verdict.kind === 'none') return;
        const task = 'task' in verdict ? verdict.task : null;
        const why = 'why' in verdict ? verdict.why : 'evidence' in verdict ? verdict.evidence : null;
        rows.push({
          batch: of,
          key,
          verdict: accepted === undefined ? verdict.kind : 'accepted',
          task,
          why: `${why === null ? '' : `by ${why}, `}claimed ${row.claimedAt.toISOString()}`,
        });
      },
    });
    progress.clear();
    // What it would have found is not known, so nothing is told.
    if (interrupt.signal.aborted) return await interrupt.happened;
    await out.keep();
    if (flags.json === true) io.out(JSON.stringify(auditJson(name ?? null, result, rows)));
    else {
      for (const line of auditText(result, { batch: name ?? null, accepting: isOn(flags.accept), rows }))
        io.out(line);
      if (flags.differences !== undefined) io.out(`what differs: ${flags.differences}`);
    }
    return exitCode(result);
  } finally {
    interrupt.dispose();
    progress.clear();
    await out.drop();
    await app.close();
  }
}

/** Where the files are from, if the ledger has sent to one provider alone. */
async function onlyOrigin(db: Database): Promise<string> {
  const [origin = '', ...more] = await readOrigins(db);
  if (more.length === 0) return origin;
  throw usageError(
    'WHICH_PROVIDER',
    `this ledger has sent to several providers: ${[origin, ...more].join(', ')}`,
    'Say whose files these are: --base-url <url>, or name a batch.',
  );
}

/** As for every command that names batches: what may have been paid for nothing comes first. */
function exitCode({ doubts, summary }: Audit): ExitCode {
  if (doubts.rows > doubts.settled || summary.count('surplus') > 0) return EXIT.uncertainRows;
  return summary.differing > 0 ? EXIT.differences : EXIT.ok;
}

function auditJson(
  batch: string | null,
  { files, summary, doubts, stored }: Audit,
  rows: SideBySide[],
): object {
  return {
    batch,
    files,
    differing: summary.differing,
    kinds: summary.counted().map((one) => ({ ...one, ...FINDING_TYPES[one.kind] })),
    uncertain: { ...doubts, examples: rows },
    stored,
  };
}
