import type { Queryable } from '../../database/database.ts';
import { readClosed, type Closed } from '../closed.ts';
import { listFeeders } from '../send/feeder.ts';
import { heldProviders, type ProviderStatus } from '../send/provider.ts';
import { readOne } from './query.ts';
import { readTrouble, type Trouble } from './trouble.ts';

/** What keeps rows of any batch from being sent, and what needs a person. */
export interface LedgerCondition extends Pick<Trouble, 'paidTwice' | 'uncertain'> {
  ledgerId: string;
  /** It sends nothing until a person reopens it. */
  closed: Closed | null;
  paused: boolean;
  /** An operator paused them, or they stopped themselves. */
  pausedBatches: string[];
  /** Models that an operator paused, in a batch or in all. */
  pausedModels: string[];
  /** Providers that are halted, probed or throttling. */
  held: ProviderStatus[];
  halts: Pick<Trouble['halts'][number], 'origin' | 'code' | 'reason' | 'httpStatus'>[];
  /** Some rows are pending or in flight. */
  open: boolean;
  /** Queues that a worker feeds. */
  fed: number;
}

export async function readCondition(db: Queryable): Promise<LedgerCondition> {
  const gates = await readOne<
    Pick<LedgerCondition, 'ledgerId' | 'paused' | 'pausedBatches' | 'pausedModels' | 'open'>
  >(
    db,
    `select m.ledger_id as "ledgerId", m.paused_at is not null as paused,
            array(select b.name from vidbatch.batch b where b.state in ('paused', 'stopped') order by b.id) as "pausedBatches",
            array(select model from unnest(m.paused_models) model
                  union select unnest(b.paused_models) from vidbatch.batch b where b.state <> 'cancelled'
                  order by model) as "pausedModels",
            exists (select from vidbatch.row_state where state = 'pending')
              or exists (select from vidbatch.row_state where state = 'submitting') as open
       from vidbatch.meta m`,
  );
  const { paidTwice, uncertain, halts } = await readTrouble(db);
  const closed = (await readClosed(db)) ?? null;
  const held = await heldProviders(db);
  const fed = (await listFeeders(db)).filter(({ alive }) => alive).length;
  return { ...gates, closed, held, halts, paidTwice, uncertain, fed };
}
