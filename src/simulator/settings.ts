import { z } from 'zod';
import { defined } from '../core/json.ts';
import { parseAmount } from '../core/money/money.ts';
import { usageError } from '../core/errors.ts';
import { isOffPeak } from '../core/model.ts';
import { QUERY_SHAPES } from './dialect.ts';
import { isRefusal, faultKind, parseFault, parseFaultName } from './fault.ts';
import { parseMistake } from './mistake.ts';
import { parseResultFault } from './delivery.ts';

const ms = z.number().min(0);
const count = z.int().min(0);

/** The life of a task. A change also applies to tasks that exist already. */
const taskLife = z.strictObject({
  /** Milliseconds from acceptance until it may run. */
  queuedMs: ms,
  /** Milliseconds from running until its end. */
  runningMs: ms,
  /** Share of tasks that fail, 0-1, drawn from the seed. */
  failureShare: z.number().min(0).max(1),
  /** A fixed end instead; an expired task never runs. */
  ends: z.enum(['completed', 'failed', 'expired']).nullable(),
  /** The number of first polls that answer `task_not_exist`, counted in memory only. */
  missingPolls: count,
  missingStatus: z.union([z.literal(400), z.literal(404)]),
  /** The word that replaces `in_progress`. */
  unknownStatus: z.string().min(1).nullable(),
  /** Progress falls by 30 on every second poll. */
  backwards: z.boolean(),
  /** The status in every poll after the end was reported; `missing`: `task_not_exist`. The provider files stay right. */
  afterEnd: z.enum(['queued', 'in_progress', 'completed', 'failed', 'expired', 'missing']).nullable(),
  /** Bytes of the video. */
  resultBytes: z.int().min(0),
  /** Milliseconds from the task's end until its URL expires; null: never. */
  resultMs: ms.nullable(),
  /** Every poll gives another URL, which lives from then on. */
  resultRenewed: z.boolean(),
});

export type TaskLife = z.infer<typeof taskLife>;

export const lifePatch = taskLife.partial();

const throttleName = z.string().transform((name) => {
  const fault = parseFaultName(name);
  if (!isRefusal(faultKind(fault))) throw usageError('throttle', `throttle: ${name} is not a refusal`);
  return fault;
});

const rated = <T extends { rate: number }>(parse: (spec: string) => T) =>
  z
    .array(z.string().transform(parse))
    .refine((all) => all.reduce((sum, { rate }) => sum + rate, 0) <= 1 + 1e-9, 'rates add up to more than 1');

const settings = z.strictObject({
  /** Milliseconds before an answer, drawn between the two. */
  latency: z.strictObject({ minMs: ms, maxMs: ms }).refine((l) => l.minMs <= l.maxMs, 'minMs is above maxMs'),
  /** Milliseconds that the slow faults take. */
  slowMs: ms,
  /** Faults in a share of the creates: `timeout:created=0.01`. */
  faults: rated(parseFault),
  /** Faults in a share of the polls: `throttle-seconds=0.05`. */
  queryFaults: rated(parseFault),
  /** Faults in a share of the GETs of results: `result-truncated=0.1`. */
  resultFaults: rated(parseResultFault),
  /** The most creates a second. */
  requestsPerSecond: z.int().min(1).nullable(),
  /** The most running tasks. `queue`: others wait; `refuse`: further creates are throttled. */
  runningTasks: z.strictObject({ limit: z.int().min(1), mode: z.enum(['queue', 'refuse']) }).nullable(),
  /** The refusal for both quotas. */
  throttle: throttleName,
  /** Creates left on the account. */
  balance: count.nullable(),
  /** Any wrong path answers 200 with index.html. */
  spaFallback: z.boolean(),
  /** A known Idempotency-Key gets the stored answer again, a refusal included. */
  honourIdempotency: z.boolean(),
  queryShape: z.enum(QUERY_SHAPES),
  /** The price of a second of video, by model; `*`: all others. */
  prices: z.record(
    z.string(),
    z.string().refine((text) => parseAmount(text) !== undefined, 'not a price such as "0.20"'),
  ),
  currency: z.string().regex(/^[A-Z]{3}$/, 'not a currency such as CNY'),
  /** Whether a failed task has a charge and a refund on the bill, or nothing. */
  failedTasks: z.enum(['refunded', 'free']),
  /** Mistakes in the task list and the bill: `billed-twice=0.01`. */
  mistakes: rated(parseMistake),
  task: taskLife,
});

export type Settings = z.infer<typeof settings>;

const patch = settings.partial().extend({ task: lifePatch.optional() });

/** A change of settings, as options and the control endpoint take it. */
export type SettingsPatch = z.input<typeof patch>;

/** The models of the contract page, written a second time on purpose, like `dialects/gateway-rules.ts`. */
const MODELS = ['viduq3p', 'viduq3t'].flatMap((family) =>
  ['', '-mix'].flatMap((mix) =>
    ['540p', '720p', '1080p'].flatMap((size) =>
      ['', '-offpeak'].map((offPeak) => `${family}${mix}-${size}${offPeak}`),
    ),
  ),
);

export const DEFAULTS: Settings = {
  latency: { minMs: 0, maxMs: 0 },
  slowMs: 10_000,
  faults: [],
  queryFaults: [],
  resultFaults: [],
  requestsPerSecond: null,
  runningTasks: null,
  throttle: { name: 'throttle', created: false },
  balance: null,
  spaFallback: false,
  honourIdempotency: false,
  queryShape: 'flat',
  prices: defaultPrices(),
  currency: 'CNY',
  failedTasks: 'refunded',
  mistakes: [],
  task: {
    queuedMs: 1_000,
    runningMs: 4_000,
    failureShare: 0,
    ends: null,
    missingPolls: 0,
    missingStatus: 400,
    unknownStatus: null,
    backwards: false,
    afterEnd: null,
    resultBytes: 65_536,
    resultMs: null,
    resultRenewed: false,
  },
};

/** Invented prices: higher for a higher resolution, half for the turbo family, half for off-peak. */
function defaultPrices(): Record<string, string> {
  const cents = (model: string): number => {
    const size = model.includes('1080p') ? 40 : model.includes('720p') ? 20 : 10;
    return (size / (model.startsWith('viduq3t') ? 2 : 1)) * (isOffPeak(model) ? 5 : 10);
  };
  const prices = MODELS.map((model) => [model, `0.${String(cents(model)).padStart(3, '0')}`]);
  return Object.fromEntries([...prices, ['*', '0.200']]) as Record<string, string>;
}

/** New settings, or a usage error that names the wrong setting. */
export function changed(current: Settings, change: unknown): Settings {
  const { task, ...rest } = checked('setting', patch, change);
  return { ...current, ...defined(rest), task: { ...current.task, ...defined(task ?? {}) } };
}

/** The value as the schema reads it, or a usage error that names what is wrong. */
export function checked<Schema extends z.ZodType>(
  what: string,
  schema: Schema,
  value: unknown,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const reasons = result.error.issues.map((issue) => [issue.path.join('.'), issue.message].join(' ').trim());
  throw usageError(`simulator-${what}`, `${what}: ${reasons.join('; ')}`);
}
