import { csvCell } from '../core/text.ts';
import { formatAmount, parseAmount, times } from '../core/money/money.ts';
import { concerns, type Mistake } from './mistake.ts';
import { draw, pickByRate } from './random.ts';
import type { Settings } from './settings.ts';
import type { ListedTask } from './tasks.ts';
import { writeFileSync } from 'node:fs';

/** One line of the task list. Times are unix seconds, as in the answers. */
interface TaskLine {
  id: number;
  task_id: string;
  status: string;
  model: string;
  duration: number;
  prompt: string;
  created_at: number;
  finished_at: number | null;
  fail_reason: string;
  request_id: string;
}

/** One line of the bill. A charge has the time of the create, a refund that of the task's end. */
interface BillLine {
  id: number;
  time: number;
  type: 'charge' | 'refund';
  /** Empty for a create that became no task. */
  task_id: string;
  request_id: string;
  model: string;
  duration: number;
  amount: string;
  currency: string;
}

/** A create that became no task, because it was refused or failed. */
export interface RefusedCreate {
  requestNumber: number;
  at: number;
  prompt: string;
  model: unknown;
  duration: unknown;
}

/** The files that the provider's operator would export, and the mistakes in them. */
export interface ProviderFiles {
  list: TaskLine[];
  bill: BillLine[];
  mistakes: { mistake: Mistake; taskId: string | null; requestId: string }[];
}

interface ProviderFilesOptions {
  settings: Pick<Settings, 'prices' | 'currency' | 'failedTasks' | 'mistakes'>;
  /** The mistake of a rule for this prompt. */
  wanted: (prompt: string) => Mistake | undefined;
  seed: number;
}

/** Makes the files: the truth, with the mistakes of settings and rules. The same input gives the same files. */
export function makeProviderFiles(
  tasks: readonly ListedTask[],
  refused: readonly RefusedCreate[],
  options: ProviderFilesOptions,
): ProviderFiles {
  const files: ProviderFiles = { list: [], bill: [], mistakes: [] };
  for (const task of tasks) addTask(files, task, options);
  for (const create of refused) addRefused(files, create, options);
  files.bill.sort((a, b) => a.time - b.time);
  return files;
}

function addTask(files: ProviderFiles, task: ListedTask, options: ProviderFilesOptions): void {
  const mistake = mistakeOf(task, task.status, options);
  if (mistake !== undefined) {
    files.mistakes.push({ mistake, taskId: task.taskId, requestId: requestId(task.requestNumber) });
  }
  if (mistake === 'missing') return;
  const line = taskLine(task);
  const charges = billed(task, mistake, options.settings).map((charge, index) => ({
    ...about(line),
    ...charge,
    id: entryId(task.requestNumber, index),
  }));
  if (mistake === 'other-model') {
    line.model = otherModel(line.model);
    for (const charge of charges) charge.model = line.model;
  }
  if (mistake === 'other-duration') line.duration += 1;
  if (mistake === 'other-end') {
    line.status = task.status === 'completed' ? 'failed' : 'completed';
    line.fail_reason = line.status === 'failed' ? 'InternalServiceFailure' : '';
  }
  if (mistake !== 'unlisted') files.list.push(line);
  files.bill.push(...charges);
  if (mistake === 'extra') {
    const extra = {
      task_id: `task_never_created_${task.requestNumber}`,
      request_id: `never-created-${task.requestNumber}`,
    };
    files.list.push({ ...line, ...extra, id: entryId(task.requestNumber, EXTRA) });
    files.bill.push(...charges.map((charge) => ({ ...charge, ...extra, id: charge.id + EXTRA })));
  }
}

function addRefused(files: ProviderFiles, create: RefusedCreate, options: ProviderFilesOptions): void {
  const mistake = mistakeOf(create, 'refused', options);
  if (mistake === undefined) return;
  const request_id = requestId(create.requestNumber);
  files.mistakes.push({ mistake, taskId: null, requestId: request_id });
  const { settings } = options;
  const model = String(create.model);
  const duration = Number(create.duration);
  const amount = price(model, duration, settings);
  files.bill.push({
    id: entryId(create.requestNumber, 0),
    time: seconds(create.at),
    type: 'charge',
    task_id: '',
    request_id,
    model,
    duration,
    amount,
    currency: settings.currency,
  });
}

/** By a rule, or by one draw for each task. */
function mistakeOf(
  task: { requestNumber: number; prompt: string },
  status: string,
  { settings, wanted, seed }: ProviderFilesOptions,
): Mistake | undefined {
  const asked = wanted(task.prompt);
  if (asked !== undefined) return concerns(asked, status) ? asked : undefined;
  const possible = settings.mistakes.filter(({ name }) => concerns(name, status));
  return pickByRate(possible, draw(seed, 'mistake', task.requestNumber))?.name;
}

function taskLine(task: ListedTask): TaskLine {
  const ended = ['completed', 'failed', 'expired'].includes(task.status);
  return {
    id: entryId(task.requestNumber, 0),
    task_id: task.taskId,
    status: task.status,
    model: String(task.model),
    duration: Number(task.duration),
    prompt: task.prompt,
    created_at: seconds(task.createdAt),
    finished_at: ended ? seconds(task.endsAt) : null,
    fail_reason: task.failReason ?? '',
    request_id: requestId(task.requestNumber),
  };
}

type Entry = Pick<BillLine, 'time' | 'type' | 'amount' | 'currency'>;

function about({ task_id, request_id, model, duration }: TaskLine): Omit<BillLine, keyof Entry | 'id'> {
  return { task_id, request_id, model, duration };
}

function billed(
  task: ListedTask,
  mistake: Mistake | undefined,
  settings: ProviderFilesOptions['settings'],
): Entry[] {
  const amount = price(String(task.model), Number(task.duration), settings);
  const charge: Entry = {
    time: seconds(task.createdAt),
    type: 'charge',
    amount,
    currency: settings.currency,
  };
  const refund: Entry = { ...charge, time: seconds(task.endsAt), type: 'refund' };
  const failed = task.status === 'failed' || task.status === 'expired';
  const right = failed ? (settings.failedTasks === 'refunded' ? [charge, refund] : []) : [charge];
  const wrong: Partial<Record<Mistake, Entry[]>> = {
    unbilled: [],
    'billed-twice': [charge, { ...charge }],
    'billed-failed': [charge],
    'other-amount': [{ ...charge, amount: `${amount}1` }],
    'other-currency': [{ ...charge, currency: settings.currency === 'USD' ? 'EUR' : 'USD' }],
    refunded: [charge, refund],
    'refund-alone': [refund],
    unreadable: [{ ...charge, amount: 'n/a' }],
  };
  return (mistake === undefined ? undefined : wrong[mistake]) ?? right;
}

/** At least two decimal places, so that another digit makes the amount higher. */
function price(model: string, duration: number, { prices }: Pick<Settings, 'prices'>): string {
  const perSecond = parseAmount(prices[model] ?? prices['*'] ?? '0');
  const length = parseAmount(String(duration));
  return perSecond && length ? formatAmount(times(perSecond, length), 2) : '0.00';
}

function otherModel(model: string): string {
  return model.startsWith('viduq3p')
    ? model.replace('viduq3p', 'viduq3t')
    : model.replace('viduq3t', 'viduq3p');
}

/** The same entry always has the same number. */
const entryId = (requestNumber: number, nth: number): number => requestNumber * 10 + nth;
const EXTRA = 5;

const seconds = (ms: number): number => Math.floor(ms / 1000);
const requestId = (requestNumber: number): string => `simulated-${requestNumber}`;

export const PROVIDER_FILES = ['list.csv', 'list.json', 'bill.csv', 'bill.json'] as const;
export type ProviderFile = (typeof PROVIDER_FILES)[number];

const COLUMNS = {
  list: [
    ...(['id', 'task_id', 'status', 'model', 'duration', 'prompt', 'created_at', 'finished_at'] as const),
    ...(['fail_reason', 'request_id'] as const),
  ],
  bill: ['id', 'time', 'type', 'task_id', 'request_id', 'model', 'duration', 'amount', 'currency'],
} as const;

/** In pieces, because a list may have a million tasks. */
export function* fileText(files: ProviderFiles, file: ProviderFile): Generator<string> {
  const [name, format] = file.split('.') as ['list' | 'bill', 'csv' | 'json'];
  const lines: readonly object[] = files[name];
  if (format === 'csv') {
    yield `${COLUMNS[name].join(',')}\r\n`;
    for (const line of lines)
      yield csvLine(COLUMNS[name].map((column) => (line as Record<string, string | number | null>)[column]));
    return;
  }
  // As gateways wrap a list.
  yield `{"object":"list","total":${lines.length},"data":[`;
  for (const [index, line] of lines.entries()) yield `${index === 0 ? '' : ','}\n${JSON.stringify(line)}`;
  yield '\n]}\n';
}

export function contentType(file: ProviderFile): string {
  return file.endsWith('.csv') ? 'text/csv; charset=utf-8' : 'application/json; charset=utf-8';
}

/** As JSON if the path ends so, or else as CSV. */
export function writeProviderFile(files: ProviderFiles, name: 'list' | 'bill', path: string): void {
  const format = path.toLowerCase().endsWith('.json') ? 'json' : 'csv';
  writeFileSync(path, [...fileText(files, `${name}.${format}`)].join(''));
}

function csvLine(cells: readonly (string | number | null | undefined)[]): string {
  return `${cells.map((cell) => csvCell(String(cell ?? ''))).join(',')}\r\n`;
}
