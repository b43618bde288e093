import { formatSize } from '../../core/units.ts';
import { stageOf, type Stage } from '../../core/video-stage.ts';
import type { AttemptView, LoggedEvent } from '../../ledger/read/rows.ts';
import type { PlacedVideo } from '../../ledger/tasks/downloads.ts';
import type { TaskView } from '../../ledger/tasks/tasks.ts';
import { formatAttempt, formatEvent, type RowLife } from '../../operate/row-life.ts';
import type { View } from '../view.ts';

/** One thing that happened to a row. */
export interface PathStep {
  at: Date;
  /** How far the video was after this step; undefined: the step does not show it. */
  stage: Stage | undefined;
  what: string;
  /** The evidence of this step; empty: no evidence is shown. */
  evidence: string;
}

/** The stages of a video that meets no failure. */
const MAIN = ['waiting', 'sent', 'rendering', 'completed', 'downloaded'] as const satisfies Stage[];

/** The stages that a row went through, the present one among them, and those of the usual way that are still ahead. */
export function stagesOf(current: Stage, { attempts, tasks }: Pick<RowLife, 'attempts' | 'tasks'>): Stage[] {
  if (MAIN.some((stage) => stage === current)) return [...MAIN];
  const rendered = tasks.some(({ startedAt, surplus }) => startedAt !== null && !surplus);
  const isTask = current === 'failed' || current === 'missing';
  return [
    'waiting',
    ...(isTask || attempts.length > 0 ? (['sent'] as const) : []),
    ...(isTask && rendered ? (['rendering'] as const) : []),
    current,
  ];
}

export function currentStage({ row }: Pick<RowLife, 'row'>, videos: readonly PlacedVideo[]): Stage {
  const downloaded = videos.some(({ state, taskId }) => state === 'downloaded' && taskId === row.taskId);
  return stageOf({ ...row, downloaded });
}

/** What happened to a row, the oldest first. */
export function pathOf(view: View, life: RowLife, videos: readonly PlacedVideo[]): PathStep[] {
  const { row, attempts, tasks, trail } = life;
  const steps = [
    ...attempts.map((attempt) =>
      attemptStep(view, attempt, attempt === attempts.at(-1) ? row.state : undefined),
    ),
    ...tasks.flatMap((task) => taskSteps(view, task, row.taskId)),
    ...videos.map((video) => videoStep(view, video)),
    ...trail.map((event) => trailStep(view, event)),
  ];
  return steps.sort((a, b) => a.at.getTime() - b.at.getTime());
}

const AFTER: Readonly<Record<string, Stage>> = {
  accepted: 'sent',
  rejected: 'rejected',
  uncertain: 'uncertain',
  invalid: 'invalid',
};

function attemptStep(view: View, attempt: AttemptView, last: string | undefined): PathStep {
  const { number, end, findings, worker } = formatAttempt(attempt);
  const { outcome, sweptAt, finishedAt, claimedAt } = attempt;
  const stage: Stage =
    outcome === null
      ? sweptAt === null
        ? 'sent'
        : 'uncertain'
      : (AFTER[outcome] ?? (last === 'exhausted' ? 'exhausted' : 'waiting'));
  return {
    at: finishedAt ?? sweptAt ?? claimedAt,
    stage,
    what: view.say('attempt {number}: {end}', { number, end: view.sentence(end) }),
    evidence: [view.sentence(findings), worker === '' ? '' : `${view.say('worker')} ${worker}`]
      .filter((part) => part !== '')
      .join(' · '),
  };
}

function taskSteps(view: View, task: TaskView, current: string | null): PathStep[] {
  const { taskId, startedAt, finishedAt, status, failReason } = task;
  const isCurrent = taskId === current;
  const evidence = isCurrent ? '' : taskId;
  const steps: PathStep[] = [];
  if (startedAt !== null) {
    steps.push({
      at: startedAt,
      stage: isCurrent ? 'rendering' : undefined,
      what: view.say('a poll found it in progress'),
      evidence,
    });
  }
  if (finishedAt !== null && (status === 'completed' || status === 'failed')) {
    steps.push({
      at: finishedAt,
      stage: isCurrent ? status : undefined,
      what:
        status === 'completed'
          ? view.say('a poll found it completed')
          : view.say('a poll found that it has failed'),
      evidence: [evidence, failReason ?? ''].filter((part) => part !== '').join(' · '),
    });
  }
  return steps;
}

function videoStep(
  view: View,
  { state, file, bytes, sha256, host, path, code, reason, at }: PlacedVideo,
): PathStep {
  const where = `${host}:${path}`;
  if (state === 'downloaded') {
    const evidence = [`${where}/${file}`, formatSize(bytes ?? 0), `SHA-256 ${sha256?.slice(0, 12)}…`];
    return { at, stage: 'downloaded', what: view.say('downloaded'), evidence: evidence.join(' · ') };
  }
  const what = state === 'fetching' ? view.say('the download began') : view.say('the download failed');
  const evidence = [code, reason, where].filter((part) => part !== null).join(' · ');
  return { at, stage: undefined, what, evidence };
}

function trailStep(view: View, event: LoggedEvent): PathStep {
  return { at: event.at, stage: undefined, what: view.sentence(formatEvent(event)), evidence: '' };
}
