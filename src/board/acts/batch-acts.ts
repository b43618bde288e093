import { html, NOTHING, type Html } from '../../core/html.ts';
import { requireBatch, type Batch } from '../../ledger/batches.ts';
import { EVERYTHING, readPause } from '../../ledger/operator/pause.ts';
import { readPauses } from '../../ledger/operator/pause-model.ts';
import { openHalts, type Halt } from '../../ledger/send/provider.ts';
import {
  cancelRows,
  checkPausable,
  checkResumable,
  formatResumed,
  pauseRows,
  resumeRows,
  type Scope,
} from '../../operate/pause.ts';
import { changePriority, parsePriority } from '../../operate/priority.ts';
import { stakeOf, type Stake } from '../../operate/stake.ts';
import { batchPath } from '../url.ts';
import type { View } from '../view.ts';
import { costText, narrower, stakeTable, type Act, type Asked, type Place } from './act.ts';

/** The pages offer only models that rows of the ledger have. Any other model is unknown here. */
const OF_THE_LEDGER = { names: [], knows: () => false };

/** What the request names: a batch or none, a model or none. */
async function scopeOf({ db }: Place, { batch: name, model }: Asked): Promise<Scope> {
  const batch = name === undefined ? undefined : await requireBatch(db, name);
  return { batch, models: model === undefined ? [] : [model] };
}

/** The batch of an act that needs one. */
async function batchOf({ db }: Place, { batch }: Asked): Promise<Batch> {
  return requireBatch(db, batch ?? '');
}

function fieldsOf({ batch, models }: Scope): Asked {
  const [model] = models;
  return {
    ...(batch === undefined ? {} : { batch: batch.name }),
    ...(model === undefined ? {} : { model }),
  };
}

function backOf({ batch }: Pick<Scope, 'batch'>): string {
  return batch === undefined ? '/' : batchPath(batch.name);
}

function nameOf({ say }: View, { batch, models: [model] }: Scope): string {
  if (model === undefined) return batch?.name ?? say('everything');
  return batch === undefined
    ? say('model {model} in all batches', { model })
    : say('model {model} in batch {batch}', { model, batch: batch.name });
}

async function readScopeStake({ db }: Place, { batch, models }: Scope): Promise<Stake> {
  return stakeOf(db, { batchId: batch?.id ?? null, models });
}

/** The models of a scope, each to be stopped or continued by itself. */
function modelsOf(view: View, act: string, scope: Scope, { models }: Stake): Html {
  const fields = fieldsOf(scope);
  return narrower(
    view,
    act,
    'Only one model:',
    models.map(({ model, rows, cost }) => ({ asked: { ...fields, model }, name: model, rows, cost })),
  );
}

export const pauseAct: Act = async (view, place, asked) => {
  const scope = await scopeOf(place, asked);
  checkPausable(scope.batch);
  const stake = await readScopeStake(place, scope);
  const { say, count } = view;
  const what = nameOf(view, scope);
  const why = (asked['reason'] ?? '').trim();
  return {
    title: say('Pause {what}', { what }),
    body: html`${stakeTable(view, stake)}
      <p>
        ${say(
          'What waits is not sent until it is resumed: {rows}. Rows in flight finish. It costs nothing.',
          {
            rows: count(stake.waiting.rows, 'row'),
          },
        )}
      </p>
      ${modelsOf(view, 'pause', scope, stake)}
      <p>
        <label
          >${say('Why (optional)')}
          <input name="reason" maxlength="200" autocomplete="off" />
        </label>
      </p>`,
    button: say('Pause'),
    fields: fieldsOf(scope),
    back: backOf(scope),
    async run() {
      await pauseRows(place.db, place.who, scope, {
        why: why === '' ? undefined : why,
        known: OF_THE_LEDGER,
      });
      return [say('{what}: paused; rows in flight finish', { what })];
    },
  };
};

/** What keeps these rows, as one text: a pause, a stop or a halt that came later has another text. */
async function keptBy(
  { db }: Place,
  { batch, models: [model] }: Scope,
  halts: readonly Halt[],
): Promise<string> {
  const id = batch?.id ?? null;
  const pause = await (model === undefined
    ? readPause(db, 'pause', id, batch?.name ?? EVERYTHING)
    : readPause(db, 'pause-model', id, model));
  return [
    batch?.state,
    batch?.stopReason,
    pause?.at?.toISOString(),
    ...halts.map(({ origin, code, raisedAt }) => `${origin} ${code} ${String(raisedAt)}`),
  ].join(', ');
}

export const resumeAct: Act = async (view, place, asked) => {
  const scope = await scopeOf(place, asked);
  checkResumable(scope.batch);
  const stake = await readScopeStake(place, scope);
  const isAll = scope.batch === undefined && scope.models.length === 0;
  const halts = isAll ? await openHalts(place.db) : [];
  const kept = await keptBy(place, scope, halts);
  // Unless everything is paused, rows move all the time, and only one row of each halted provider is tried.
  const isMoving = isAll && !(await readPauses(place.db)).everything;
  const { say, count } = view;
  const rows = count(stake.waiting.rows, 'row');
  const money = costText(view, stake.waiting.cost);
  return {
    title: say('Resume {what}', { what: nameOf(view, scope) }),
    body: html`${stakeTable(view, stake)}
      <p>
        ${say(
          'What waits may then be sent: {rows}, for {money}. Rows that wait for another reason still wait.',
          { rows, money },
        )}
      </p>
      ${
        scope.batch?.stopReason == null || scope.batch.state !== 'stopped'
          ? NOTHING
          : html`<p class="gate">
              ${say('The batch has stopped itself: {reason}', { reason: scope.batch.stopReason })}
            </p>`
      }
      ${halts.map(
        ({ origin, code, reason }) =>
          html`<p class="gate">
            ${say('{origin} is halted ({code}: {reason}). One row is tried, and paid if it is accepted.', {
              origin,
              code,
              reason,
            })}
          </p>`,
      )}`,
    button: say('Resume'),
    fields: fieldsOf(scope),
    back: backOf(scope),
    seen: isMoving ? kept : `${rows}, ${money}, ${kept}`,
    async run() {
      const resumed = await resumeRows(place.db, place.who, scope, place.origin);
      return formatResumed(scope, resumed).map(view.sentence);
    },
  };
};

export const cancelAct: Act = async (view, place, asked) => {
  const batch = await batchOf(place, asked);
  const stake = await readScopeStake(place, { batch, models: [] });
  const { say, count } = view;
  return {
    title: say('Cancel {what}', { what: batch.name }),
    body: html`${stakeTable(view, stake)}
      <p>
        ${
          stake.waiting.rows === 0
            ? say(
                'No row waits. Rows in flight finish, and are paid if they are accepted; none is sent again.',
              )
            : say(
                'What waits is cancelled: {rows}, and {money} is not spent. Rows in flight finish, and are paid if they are accepted. A retry takes cancelled rows up again.',
                { rows: count(stake.waiting.rows, 'row'), money: costText(view, stake.waiting.cost) },
              )
        }
      </p>`,
    asks: true,
    button:
      stake.waiting.rows === 0
        ? say('Cancel the batch')
        : say('Cancel {rows}', { rows: count(stake.waiting.rows, 'row') }),
    fields: { batch: batch.name },
    back: backOf({ batch }),
    async run() {
      const cancelled = await cancelRows(place.db, place.who, [batch]);
      return [
        say('{what}: {rows} cancelled; rows in flight finish', {
          what: batch.name,
          rows: count(cancelled, 'row'),
        }),
      ];
    },
  };
};

export const priorityAct: Act = async (view, place, asked) => {
  const batch = await batchOf(place, asked);
  const stake = await readScopeStake(place, { batch, models: [] });
  const { say } = view;
  return {
    title: say('Priority of {what}', { what: batch.name }),
    body: html`${stakeTable(view, stake)}
      <p>${say('Batches with a higher number go first. It costs nothing, and acts within a second.')}</p>
      <p>
        <label
          >${say('Priority, from -100 to 100')}
          <input
            name="priority"
            type="number"
            min="-100"
            max="100"
            step="1"
            required
            value="${batch.priority}"
          />
        </label>
      </p>`,
    button: say('Change the priority'),
    fields: { batch: batch.name },
    back: backOf({ batch }),
    async run() {
      const priority = parsePriority('priority', asked['priority'] ?? '');
      await changePriority(place.db, place.who, batch, priority);
      return [
        say('{what}: priority {before} → {now}', {
          what: batch.name,
          before: batch.priority,
          now: priority,
        }),
      ];
    },
  };
};
