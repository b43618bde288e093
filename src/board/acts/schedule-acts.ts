import { html, NOTHING } from '../../core/html.ts';
import { countStates, findBatch } from '../../ledger/batches.ts';
import { listRuns } from '../../ledger/schedules/runs.ts';
import { nextTicks } from '../../core/time/cron.ts';
import { ledgerNow } from '../../ledger/send/window.ts';
import { stakeOf } from '../../operate/stake.ts';
import { pauseScheduleBy, requestRun, requireSchedule, resumeScheduleBy } from '../../schedule/operator.ts';
import { stakeTable, type Act } from './act.ts';
import { SEEN_FIELD } from './page.ts';

const BACK = '/schedules';

export const pauseScheduleAct: Act = async (view, { db, who }, asked) => {
  const schedule = await requireSchedule(db, asked['schedule'] ?? '');
  const { name } = schedule;
  const { say } = view;
  return {
    title: say('Pause the schedule {what}', { what: name }),
    body: html`<p>
      ${say('It makes no run until it is resumed. Rows of earlier runs are still sent. It costs nothing.')}
    </p>`,
    button: say('Pause'),
    fields: { schedule: name },
    back: BACK,
    async run() {
      await pauseScheduleBy(db, who, schedule);
      return [say('schedule {what}: paused', { what: name })];
    },
  };
};

export const resumeScheduleAct: Act = async (view, { db, who }, asked) => {
  const schedule = await requireSchedule(db, asked['schedule'] ?? '');
  const { name } = schedule;
  const { say, time } = view;
  const [next] = nextTicks(schedule, await ledgerNow(db), 1);
  return {
    title: say('Resume the schedule {what}', { what: name }),
    body: html`<p>
        ${say('It makes runs again, from its next tick on. Each run sends the rows of its manifest, and pays for them.')}
      </p>
      ${next === undefined ? NOTHING : html`<p>${say('Next tick:')} ${time(new Date(next))}</p>`}`,
    button: say('Resume'),
    fields: { schedule: name },
    back: BACK,
    seen: `${schedule.id}, ${schedule.pausedAt?.toISOString() ?? 'not paused'}`,
    async run() {
      await resumeScheduleBy(db, who, schedule);
      return [say('schedule {what}: resumed', { what: name })];
    },
  };
};

/** A worker makes the run, because only a machine with the manifest can read it. */
export const triggerAct: Act = async (view, { db, who }, asked) => {
  const schedule = await requireSchedule(db, asked['schedule'] ?? '');
  const { name, manifest, overlap } = schedule;
  const { say, count } = view;
  const [newest] = await listRuns(db, schedule.id, 1);
  const last = newest === undefined ? undefined : await findBatch(db, newest.batch);
  const { pending, submitting } = last === undefined ? NONE : await countStates(db, last.id);
  const isUnmade = newest?.state === 'due' || newest?.state === 'taken';
  const isSkipped = (isUnmade || pending + submitting > 0) && overlap === 'skip';
  return {
    title: say('Run the schedule {what} now', { what: name }),
    body: html`<p>
        ${say(
          'A worker reads {manifest} and sends all of its rows. They are paid, also if an earlier run has sent the same rows.',
          { manifest },
        )}
      </p>
      ${
        last === undefined
          ? html`<p>${say('There is no earlier run, so the number of rows is not known before.')}</p>`
          : html`<p>${say('Its latest run, {batch}, for comparison:', { batch: last.name })}</p>
              ${stakeTable(view, await stakeOf(db, { batchId: last.id, models: [] }))}`
      }
      ${
        isSkipped
          ? html`<p class="gate">
              ${
                isUnmade
                  ? say('No worker has made its latest run, {batch}, yet: another run would be skipped.', {
                      batch: newest.batch,
                    })
                  : say('Its latest run still has {rows} to send: another run would be skipped.', {
                      rows: count(pending + submitting, 'row'),
                    })
              }
            </p>`
          : NOTHING
      }`,
    button: say('Run it now'),
    fields: { schedule: name },
    back: BACK,
    // Another schedule may have this name by then.
    seen: `${schedule.id}, ${newest?.batch ?? 'no run'}`,
    idle: isSkipped,
    async run() {
      // A program that posts JSON has seen no page.
      const isSeen = asked[SEEN_FIELD] !== undefined;
      const { batch } = await requestRun(db, who, schedule, isSeen ? (newest?.batch ?? null) : undefined);
      return [say('{batch} is due; a worker makes it', { batch })];
    },
  };
};

const NONE = { pending: 0, submitting: 0 };
