import { usageError } from '../../core/errors.ts';
import type { ColumnMap } from '../../manifest/columns.ts';

/**
 * The fields of a line, and the headers that files usually give them. Headers are compared by letters, digits and ideographs
 * in lower case, so that `Task ID`, `task_id` and `taskId` are the same. A field's own name comes first.
 */
const FIELDS = {
  task_id: ['taskid', '任务id', '任务编号', '任务号', 'jobid', 'generationid', 'videoid'],
  request_id: ['requestid', 'xrequestid', 'oneapirequestid', '请求id', '请求编号'],
  model: ['model', 'modelname', '模型', '模型名称', 'propertiesoriginmodelname'],
  duration: ['duration', 'seconds', 'durationseconds', 'videoseconds', '时长', '秒数'],
  prompt: ['prompt', 'input', 'propertiesinput', '提示词'],
  status: ['status', 'taskstatus', 'state', '状态', '任务状态'],
  created_at: [
    'createdat',
    'created',
    'createtime',
    'createdtime',
    'creationtime',
    'submittime',
    'submittedat',
    '创建时间',
    '提交时间',
  ],
  client: [
    'client',
    'tokenname',
    'token',
    'username',
    'user',
    'userid',
    'account',
    '令牌',
    '令牌名称',
    '用户',
  ],
  charge_id: [
    'chargeid',
    'billid',
    'transactionid',
    'orderid',
    'logid',
    'entryid',
    '流水号',
    '账单号',
    '订单号',
  ],
  type: ['type', 'entry', 'entrytype', 'kind', 'transactiontype', '类型', '交易类型'],
  amount: ['amount', 'cost', 'charge', 'charged', 'fee', '金额', '费用', '消费金额', '扣费金额', '扣费'],
  currency: ['currency', '币种', '货币'],
  billed_at: [
    'billedat',
    'chargedat',
    'time',
    'timestamp',
    'billtime',
    'chargetime',
    '时间',
    '计费时间',
    '扣费时间',
    '交易时间',
  ],
} as const satisfies Record<string, readonly string[]>;

export type Field = keyof typeof FIELDS;

const FIELD_NAMES = Object.keys(FIELDS) as Field[];

/** Fields that only a provider's file has, never a manifest. */
const PROVIDERS: readonly Field[] = ['request_id', 'status', 'created_at', 'amount', 'billed_at', 'client'];

/** The header of each field, and the currency that the header of the amount names. */
export interface Headers {
  of: ReadonlyMap<Field, string>;
  currency: string | undefined;
}

/**
 * Finds the fields among the headers of a file. A column `id` is the task id if no other column is, and the charge id
 * otherwise. Without any provider-only column the file may be a manifest: then `id` is ignored.
 * @throws VidbatchError exit 2 when two headers fit one field: a choice would be a guess.
 */
export function findHeaders(headers: readonly string[], map: ColumnMap, file: string): Headers {
  const of = new Map<Field, string>();
  for (const header of headers) {
    const field = map.get(header);
    if (field !== undefined) of.set(field as Field, header);
  }
  const left = headers.filter((header) => !map.has(header));
  for (const field of FIELD_NAMES) {
    if (of.has(field)) continue;
    const names: readonly string[] = FIELDS[field];
    const found = left.filter((header) => names.includes(plain(header)));
    const own = found.filter((header) => plain(header) === names[0]);
    const [header, second] = own.length > 0 ? own : found;
    if (second !== undefined) throw ambiguous(file, field, header ?? '', second);
    if (header !== undefined) of.set(field, header);
  }
  const id = left.find((header) => plain(header) === 'id');
  if (id !== undefined && of.has('task_id') && !of.has('charge_id')) of.set('charge_id', id);
  if (id !== undefined && !of.has('task_id') && PROVIDERS.some((field) => of.has(field)))
    of.set('task_id', id);
  return { of, currency: currencyIn(of.get('amount') ?? '') };
}

/** @throws VidbatchError exit 2 for an unknown field. */
export function checkFields(map: ColumnMap): void {
  for (const [header, field] of map) {
    if (FIELD_NAMES.some((known) => known === field)) continue;
    throw usageError(
      'NO_SUCH_FIELD',
      `--map ${field}=${header}: a line of a provider's file has no field ${JSON.stringify(field)}`,
      `Fields are ${FIELD_NAMES.join(', ')}.`,
    );
  }
}

/** @throws VidbatchError exit 2 for a header that no file has: another column would silently take its place. */
export function checkMapped(map: ColumnMap, headers: ReadonlySet<string>): void {
  if (headers.size === 0) return;
  for (const [header, field] of map) {
    if (headers.has(header)) continue;
    throw usageError(
      'NO_SUCH_HEADER',
      `--map ${field}=${header}: no provider file has the header ${JSON.stringify(header)}`,
      `The headers are ${[...headers].slice(0, 20).join(', ')}.`,
    );
  }
}

function ambiguous(file: string, field: Field, first: string, second: string): Error {
  return usageError(
    'TWO_COLUMNS',
    `${file}: ${JSON.stringify(first)} and ${JSON.stringify(second)} may both be the ${field}`,
    `Say which: --map ${field}=${JSON.stringify(first)}.`,
  );
}

/** The header without a currency in brackets or at its end: `amount (CNY)`, `金额(元)`, `cost_usd`. */
function plain(header: string): string {
  return header
    .normalize('NFKC')
    .replace(/\([^)]*\)/g, '')
    .toLowerCase()
    .replace(/[_\s](?:cny|rmb|usd|eur)$/, '')
    .replace(/[^\p{L}\p{N}]/gu, '');
}

function currencyIn(header: string): string | undefined {
  const text = header.normalize('NFKC');
  const named = /\(([^)]*)\)/.exec(text)?.[1] ?? /[_\s](cny|rmb|usd|eur)$/i.exec(text)?.[1];
  return named === undefined ? undefined : currencyOf(named);
}

const WORDS: Readonly<Record<string, string>> = { RMB: 'CNY', 元: 'CNY', 人民币: 'CNY', '€': 'EUR' };

/** The code in capitals; undefined for unknown words, and for signs that several currencies share (`$`, `¥`). */
export function currencyOf(text: string): string | undefined {
  const word = text.trim().toUpperCase();
  return WORDS[word] ?? (/^[A-Z]{3,10}$/.test(word) ? word : undefined);
}
