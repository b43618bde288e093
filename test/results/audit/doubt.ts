import { parse } from 'csv-parse/sync';
import type { Verdict } from '../../../src/results/audit/candidate.ts';
import { csvLine } from '../../../src/results/audit/difference.ts';
import type { Database } from '../../../src/database/database.ts';
import { modelsOf } from '../../../src/provider/profile/models.ts';
import { openAccount, type Account, type Row } from './account.ts';

/** An account with uncertain rows, every other one of them really accepted. */
export interface Doubtful extends Account {
  /** Of each uncertain row, by its key: the task that the simulator made of it, or none. */
  truth: ReadonlyMap<string, string | undefined>;
  rows: readonly Row[];
  /** What the list says of each uncertain row, when its columns are these. */
  verdicts: (without: readonly string[], change?: (line: Line) => void) => Promise<Map<string, Verdict>>;
  /** The list without these columns, as a file. */
  list: (without: readonly string[], change?: (line: Line) => void) => Promise<string>;
}

export type Line = Record<string, string>;

/** A mix model would want reference images. */
const MODELS = modelsOf().names.filter((model) => !model.includes('mix'));
/** Rows that were accepted and answered, so that both sides know some tasks. */
const ANSWERED = 4;
/** So many rows were sent within one hour, and as many within the hour before. */
const AN_HOUR = 100;

const hourOf = (key: string): number => Math.floor(Number(key.split('-').at(-1)?.replace('.', '')) / AN_HOUR);

export async function openDoubtful(db: Database, doubts: number): Promise<Doubtful> {
  const rows = Array.from({ length: doubts + ANSWERED }, (_, n): Row => {
    const kind = n >= doubts ? 'answered' : n % 2 === 0 ? 'lost' : 'broken';
    const within = n % AN_HOUR;
    // Some pairs are one row's alone, others are shared by one that was accepted and one that was not.
    const pair = within < 60 ? within % 45 : within;
    return {
      id: `${kind}-${n}`,
      prompt: `${kind}-${n}.`,
      model: MODELS[pair % MODELS.length] ?? 'viduq3p-720p',
      duration: 1 + Math.floor(pair / MODELS.length),
    };
  });
  const account = await openAccount(db, rows);
  account.simulator.faults.add({ match: { prompt: 'lost-' }, fault: 'status-502:created' });
  account.simulator.faults.add({ match: { prompt: 'broken-' }, fault: 'status-502:not-created' });
  await account.send();
  await db.query(
    `update vidbatch.attempt a
        set claimed_at = a.claimed_at - h.hours * interval '1 hour', deadline = a.deadline - h.hours * interval '1 hour',
            finished_at = a.finished_at - h.hours * interval '1 hour'
       from unnest($2::text[], $3::int[]) as h(row_key, hours)
       join vidbatch.submission s on s.row_key = h.row_key and s.batch_id = $1 where a.submission_id = s.id`,
    [account.batch.id, rows.map(({ id }) => id), rows.map(({ id }) => hourOf(id))],
  );
  const made = new Map(account.simulator.record.map(({ body, taskId }) => [body.prompt, taskId]));
  const uncertain = rows.slice(0, doubts);
  const list: Doubtful['list'] = (without, change = () => undefined) =>
    account.book('list.csv', (text) => {
      const lines = parse<Line>(text, { columns: true });
      for (const line of lines) {
        line['created_at'] = String(Number(line['created_at']) - 3600 * hourOf(line['prompt'] ?? ''));
        change(line);
      }
      const columns = Object.keys(lines[0] ?? {}).filter((column) => !without.includes(column));
      return [columns, ...lines.map((line) => columns.map((column) => line[column] ?? ''))]
        .map(csvLine)
        .join('');
    });
  return {
    ...account,
    rows: uncertain,
    truth: new Map(uncertain.map(({ id, prompt }) => [id, made.get(prompt)])),
    list,
    verdicts: async (without, change) => {
      const found = new Map<string, Verdict>();
      const onVerdict = ({ key }: { key: string }, verdict: Verdict): void => void found.set(key, verdict);
      await account.audit([await list(without, change)], { onVerdict });
      return found;
    },
  };
}

/** Keys of rows that share hour, model and length with no other uncertain row: all that a bare list can tell apart. */
export function distinct(rows: readonly Row[]): Set<string> {
  const groups = Map.groupBy(rows, ({ id, model, duration }) => `${hourOf(id)} ${model} ${duration}`);
  return new Set(
    [...groups.values()].flatMap((group) => (group.length === 1 ? group.map(({ id }) => id) : [])),
  );
}
