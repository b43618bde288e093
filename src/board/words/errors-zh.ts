/** The Chinese of the errors that a page shows. */
export const ERROR_SENTENCES: readonly (readonly [english: string, chinese: string])[] = [
  ['there is no such page', '没有这个页面'],
  ['there is no batch named {name}', '没有名为 {name} 的批次'],
  ['there is no schedule named {name}', '没有名为 {name} 的定时任务'],
  ['there is no row number {name}', '没有编号为 {name} 的行记录'],
  ['the request failed; the log says why', '请求失败，原因见日志'],
  [
    'the process that held the ledger has ended; the board opens it again in a moment',
    '持有账本的进程已经结束，控制台马上会重新打开账本',
  ],
  [
    'since: "{text}" is not a time such as 2026-03-01 or 2026-03-01T18:00Z',
    'since："{text}" 不是有效的时间，例如 2026-03-01 或 2026-03-01T18:00Z',
  ],
  ['sort: only {orders} are possible for more than {n} rows', 'sort：超过 {n} 行时只能按 {orders} 排序'],
  [
    'sort: is not one of {list}, with - before it for descending order',
    'sort：只能是 {list}，前面加 - 表示倒序',
  ],
  ['{field}: is not one of {list}', '{field}：只能是 {list}'],
  ['{text} is not one of {list}', '{text} 无效，只能是 {list}'],
  ['page: is not a number from 1', 'page：应为从 1 开始的数字'],
  ['batch {batch} was cancelled: there is nothing to pause', '批次 {batch} 已取消，没有可以暂停的行'],
  ['batch {batch} was cancelled', '批次 {batch} 已取消'],
  [
    'no row of the ledger has the model {model}, and the profile does not name it; nothing was paused',
    '账本中没有模型为 {model} 的行，profile 里也没有这个模型；没有暂停任何内容',
  ],
  ['there is no field {name}; allowed are {list}', '没有字段 {name}，可用的是 {list}'],
  ['{name} is not one text or number', '{name} 应为单个文本或数字'],
  [
    'the form does not say when its page was made: open the page again',
    '表单没有注明页面的生成时间：请重新打开页面',
  ],
  [
    'budget: {text} is not an amount of 0 or more with its currency, such as 120CNY or 99.50USD, or none',
    'budget：{text} 不是带币种的金额（不小于 0），例如 120CNY、99.50USD，或 none',
  ],
  [
    'batch {batch}: its budget was changed meanwhile; nothing was done',
    '批次 {batch} 的预算刚才已被修改；没有执行任何操作',
  ],
  ['choose one of the decisions', '请选择一种处理方式'],
];
