import type { Claim } from '../ledger/send/claim.ts';
import { formatCount } from '../core/units.ts';
import { oneLine } from '../core/text.ts';
import type { ChunkReport } from './chunk.ts';
import type { ChunkResult, TookRow } from './queue/chunk.ts';
import type { Settled } from './submit.ts';

/** A job's data stays below 1 KB, in any script, and its log below 8 KB. A queue on Postgres refuses NUL and half characters. */
const MOST = { key: 60, prompt: 80, code: 60, message: 200, data: 900, log: 8_000, reason: 500 };

/** What a person calls a row. */
type NameRow = (claim: Pick<Claim, 'submissionId' | 'key'>) => string;

const byKey: NameRow = ({ key }) => key;

/** Rows as a person wants to see them in a job's data, as many as fit. */
export function tookRows(
  claims: readonly Pick<Claim, 'submissionId' | 'key' | 'request'>[],
  nameOf = byKey,
): TookRow[] {
  const took: TookRow[] = [];
  let bytes = 0;
  for (const claim of claims) {
    const row = {
      key: oneLine(nameOf(claim), MOST.key),
      prompt: oneLine(promptOf(claim.request), MOST.prompt),
    };
    bytes += Buffer.byteLength(JSON.stringify(row)) + 1;
    if (bytes > MOST.data) break;
    took.push(row);
  }
  return took;
}

function promptOf(request: string): string {
  const { prompt } = JSON.parse(request) as { prompt?: unknown };
  return typeof prompt === 'string' ? prompt : '';
}

/** How many rows ended in which state, and why it took no more. */
export function resultOf({ settled, blocked }: ChunkReport): ChunkResult {
  const counts = new Map<string, number>();
  for (const { recorded } of settled) counts.set(recorded.state, (counts.get(recorded.state) ?? 0) + 1);
  return {
    rows: settled.length,
    ...Object.fromEntries(counts),
    ...(blocked === undefined ? {} : { 'no more rows': blocked.reason }),
  };
}

/** One line for each row: its result. */
export function formatLog({ settled }: Pick<ChunkReport, 'settled'>, nameOf = byKey): string {
  const lines = settled.map((one) => formatRow(one, nameOf));
  let bytes = 0;
  const shown = lines.filter((line) => (bytes += Buffer.byteLength(line) + 1) <= MOST.log);
  const more = lines.length - shown.length;
  return [...shown, ...(more > 0 ? [`${formatCount(more)} more rows: see the ledger`] : [])].join('\n');
}

function formatRow({ claim, outcome, recorded }: Settled, nameOf: NameRow): string {
  const row = oneLine(nameOf(claim), MOST.key);
  if (outcome.kind === 'accepted') {
    const twice = recorded.surplus ? ', beside another task of the row: it was paid twice' : '';
    return `${row}: accepted as task ${oneLine(outcome.taskId)}${twice}`;
  }
  const { code, message } = outcome.evidence;
  return [
    `${row}: ${outcome.kind}`,
    ...(recorded.state === outcome.kind ? [] : [`, the row is ${recorded.state}`]),
    ...(code === undefined ? [] : [` (${oneLine(code, MOST.code)})`]),
    ...(message === undefined ? [] : [`: ${oneLine(message, MOST.message)}`]),
  ].join('');
}

/** Why a person should look at this chunk; undefined: all rows are settled, or will be tried again. */
export function failureOf({ settled, errors }: ChunkReport, nameOf = byKey): string | undefined {
  const bad = settled.filter(
    ({ recorded: { state, surplus } }) =>
      ['rejected', 'exhausted', 'invalid', 'uncertain'].includes(state) || surplus,
  );
  const [first] = bad;
  const looks =
    settled.length === 1
      ? ''
      : `${formatCount(bad.length)} of ${formatCount(settled.length)} rows ${bad.length === 1 ? 'needs' : 'need'} a look; `;
  const [are, them] = errors.length === 1 ? ['row is', 'it'] : ['rows are', 'them'];
  const parts = [
    ...(first === undefined ? [] : [`${looks}${formatRow(first, nameOf)}`]),
    ...(errors.length === 0
      ? []
      : [
          `${formatCount(errors.length)} ${are} not recorded: ${String(errors[0])}; the next start settles ${them}`,
        ]),
  ];
  return parts.length === 0 ? undefined : oneLine(parts.join('; '), MOST.reason);
}
