import type { Chance } from '../../batch/deadline.ts';
import type { FailReason } from '../../ledger/operator/retry-failed-tasks.ts';
import type { VideoCounts } from '../../ledger/tasks/downloads.ts';
import type { UnreadAnswer } from '../../operate/unread.ts';
import type { TaskCounts } from '../../core/task-status.ts';
import type { LimitInForce } from '../../ledger/send/quota.ts';
import type { Pace, Summary } from '../../operate/summary.ts';
import { formatMoney } from '../../core/money/money.ts';
import { formatFirst } from '../../core/text.ts';
import { formatCount, formatDuration } from '../../core/units.ts';
import type { Batch } from '../../ledger/batches.ts';
import type { Cost } from '../../ledger/money/costs.ts';
import type { Attention } from '../../operate/attention.ts';
import { sumCosts } from '../../operate/cost.ts';
import type { Gate } from '../../operate/gates.ts';
import { standingOf, TONES, type Standing } from '../../operate/standing.ts';
import { formatClock, tellLocal, zoneLabel } from '../output/clock.ts';
import { formatRate } from '../output/format.ts';
import { Styled, type Line, type Look } from '../output/style.ts';
import { formatTable } from '../output/table.ts';

/** What `status` shows about a batch. */
export interface Status extends Summary, Omit<Pace, 'lately'> {
  /** When rows that wait for a window will be sent; null: no row waits for one. */
  forecast: Record<string, unknown> | null;
  /** The downloaded videos; null without any. */
  videos: VideoCounts | null;
  /** The deadline, and whether it will be met; null: the batch has none. */
  deadline: { at: string; on: 'wait' | 'fail'; chance: Chance } | null;
  /** The tasks, and the seconds until the next poll; null without tasks. */
  tasks: (TaskCounts & { open: number; nextPollSeconds: number | null }) | null;
  /** The rows that must still be accepted one after another before several are sent at a time; 0: none. */
  proof: number;
  /** Why tasks failed, the most frequent reason first. */
  failReasons: FailReason[];
  /** What the provider looks like to the batch. */
  profile: string;
  /** Answers of the provider that the profile of the batch does not understand. */
  unread: UnreadAnswer[];
  /** The limits that workers of its provider keep. */
  limits: Omit<LimitInForce, 'origin'>[];
}

/** A batch of the overview. */
interface Entry {
  status: Status;
  standing: Standing;
  /** What its rows cost, by currency. */
  costs: readonly Cost[];
}

/** Rows of these batches move. */
const MOVING: ReadonlySet<Standing> = new Set(['sending', 'rendering', 'throttled']);

/** All batches: what needs a person, a line for each batch, and why batches wait. */
export function formatOverview(
  batches: readonly { batch: Pick<Batch, 'createdAt'>; status: Status }[],
  {
    attention,
    costs,
    width,
    now,
  }: { attention: readonly Attention[]; costs: readonly Cost[]; width: number; now: number },
): Line[] {
  const byBatch = Map.groupBy(costs, ({ batch }) => batch);
  const entries = batches
    .map(({ batch, status }) => ({
      created: batch.createdAt.getTime(),
      status,
      standing: standingOf(status, followed(status)),
      costs: byBatch.get(status.batch) ?? [],
    }))
    .sort((a, b) => rankOf(a.standing) - rankOf(b.standing) || b.created - a.created);
  return [
    ...formatAttention(attention),
    '',
    ...formatBatches(entries, width, now),
    ...formatReasons(entries, attention, now),
  ];
}

function followed({ tasks }: Status): { open: number; polled: boolean } {
  return { open: tasks?.open ?? 0, polled: tasks !== null && tasks.nextPollSeconds !== null };
}

function rankOf(standing: Standing): number {
  if (MOVING.has(standing)) return 0;
  return standing === 'done' || standing === 'cancelled' ? 2 : 1;
}

/** Nothing is broken, and nothing was paid for nothing by mistake. */
const MILD: ReadonlySet<Attention['kind']> = new Set(['budget-used', 'urls-die', 'tasks-failed']);

function formatAttention(all: readonly Attention[]): Line[] {
  if (all.length === 0) return [new Styled('good', 'nothing needs attention')];
  return [
    new Styled(
      'heading',
      `${formatCount(all.length)} ${all.length === 1 ? 'thing needs' : 'things need'} attention:`,
    ),
    ...all.flatMap(({ kind, what, command }): Line[] => [
      ['  ', new Styled(MILD.has(kind) ? 'warning' : 'bad', what)],
      `    ${command}`,
    ]),
  ];
}

function formatBatches(entries: readonly Entry[], width: number, now: number): Line[] {
  const counted = (of: (status: Status) => number, look?: Look) => {
    return ({ status }: Entry): string | Styled => {
      const n = of(status);
      if (n === 0) return look === undefined ? '0' : '';
      return look === undefined ? formatCount(n) : new Styled(look, formatCount(n));
    };
  };
  return formatTable<Entry>(
    [
      { title: 'batch', least: 12, of: ({ status }) => status.batch },
      { title: 'state', of: ({ standing }) => styled(TONES[standing], standing) },
      { title: 'rows', right: true, of: counted(({ rows }) => rows) },
      { title: 'submitted', right: true, drop: 2, of: counted(({ counts }) => counts.submitted) },
      { title: 'completed', right: true, of: counted(({ tasks }) => tasks?.completed ?? 0) },
      {
        title: 'downloaded',
        right: true,
        drop: 5,
        of: ({ status: { videos } }) => (videos === null ? '' : formatCount(videos.downloaded)),
      },
      { title: 'failed', right: true, of: counted(failedOf, 'bad') },
      { title: 'uncertain', right: true, of: counted(({ counts }) => counts.uncertain, 'warning') },
      {
        title: 'spent',
        right: true,
        drop: 3,
        of: ({ costs }) =>
          sumCosts(costs, ({ spent }) => spent)
            .map(formatMoney)
            .join(' + '),
      },
      {
        title: 'rate',
        right: true,
        drop: 4,
        of: ({ status, standing }) => (standing === 'sending' ? formatRate(status.rate) : ''),
      },
      {
        title: `ETA (${zoneLabel(now)})`,
        drop: 1,
        of: ({ status: { etaSeconds } }) =>
          etaSeconds === null
            ? ''
            : `${formatClock(now + etaSeconds * 1000, now)}, in ${formatDuration(etaSeconds * 1000)}`,
      },
    ],
    entries,
    width,
  );
}

function styled(look: Look | undefined, text: string): string | Styled {
  return look === undefined ? text : new Styled(look, text);
}

/** Rows that were never accepted, and tasks without a video. */
function failedOf({ counts, tasks }: Status): number {
  return (
    counts.rejected + counts.exhausted + counts.invalid + (tasks === null ? 0 : tasks.failed + tasks.missing)
  );
}

/** The attention list has these already. */
const TOLD: ReadonlySet<Gate['gate']> = new Set(['halted', 'stopped']);

/** Why rows of batches wait, and what else belongs to a batch: one line for each reason. */
function formatReasons(entries: readonly Entry[], attention: readonly Attention[], now: number): Line[] {
  const tell = tellLocal(now);
  const told = new Set(attention.map(({ kind }) => kind));
  const batchesOf = new Map<string, string[]>();
  const note = (batch: string, reason: string): void =>
    void batchesOf.set(reason, [...(batchesOf.get(reason) ?? []), batch]);
  for (const { status, standing } of entries) {
    const { batch, gates, unread, deadline, counts } = status;
    for (const { gate, reason } of gates) if (!TOLD.has(gate)) note(batch, `${gate}: ${reason}`);
    if (standing === 'no worker' && !told.has('no-worker'))
      note(batch, 'no worker feeds these rows: start `vidbatch work`');
    if (standing === 'not polled')
      note(batch, 'no process polls its tasks: start `vidbatch work` or `vidbatch reconcile --watch`');
    for (const answer of unread) note(batch, `unread: ${answer.told}`);
    if (deadline !== null && counts.pending > 0 && deadline.chance !== 'met')
      note(
        batch,
        `deadline: ${tell(new Date(deadline.at))} ${deadline.chance === 'missed' ? 'will' : 'may'} be missed`,
      );
  }
  if (batchesOf.size === 0) return [];
  return [
    '',
    ...[...batchesOf].map(([reason, batches]): Line => [
      new Styled('heading', formatFirst(batches)),
      `  ${reason}`,
    ]),
  ];
}
