import { SETTLE_ZH } from './settle-zh.ts';
import { ACTS_ZH } from './acts-zh.ts';
import { DOCTOR_ZH } from './doctor-zh.ts';
import { ROWS_ZH } from './rows-zh.ts';

/**
 * The Chinese of each text of the board's own pages. The English text is the key, so that a page reads as it is shown, and
 * a text without its Chinese does not compile. `{name}` stands for a value.
 */
export const ZH = {
  ...ACTS_ZH,
  ...ROWS_ZH,
  ...DOCTOR_ZH,
  // States of a row
  pending: '待提交',
  submitting: '提交中',
  submitted: '已提交',
  uncertain: '结果不明',
  rejected: '被拒绝',
  exhausted: '重试用尽',
  invalid: '不合规',
  cancelled: '已取消',
  abandoned: '已放弃',
  'failed at the provider': '服务商生成失败',

  // What a batch does now
  sending: '提交中',
  'no worker': '无工作进程',
  closed: '账本已停用',
  paused: '已暂停',
  halted: '服务商已停用',
  stopped: '已停止',
  throttled: '限流中',
  'budget used': '预算用尽',
  'too late': '已过截止时间',
  'not polled': '无进程查询',
  done: '已结束',

  // Header and errors
  Batches: '批次',
  Failures: '失败',
  Cost: '费用',
  Workers: '工作进程',
  Schedules: '定时任务',
  'Queue internals': '队列详情',
  'find a row': '查找行',
  'find a row by any text': '用任意文字查找行',
  Sections: '栏目',
  'Skip to the content': '跳到正文',
  'Sign in': '登录',
  'Sign out': '退出登录',
  User: '用户名',
  Password: '密码',
  Token: '令牌',
  'This board is for the user who started it. Open the URL that `vidbatch board` printed: its token signs you in. Or paste the token here.':
    '此控制台只供启动它的用户使用。请打开 `vidbatch board` 打印的 URL，其中的令牌会让你登录；也可以把令牌粘贴到这里。',
  'Live · Pause': '实时 · 暂停',
  'Paused · Resume': '已暂停 · 继续',
  'Not live since {time}; trying again': '自 {time} 起未能实时更新，正在重试',
  'Not found': '页面不存在',
  'Bad request': '请求有误',
  'Not available': '暂时不可用',
  'All batches': '全部批次',

  // Time
  '{duration} ago': '{duration}前',
  'in {duration}': '{duration}后',

  // Batches
  'No batches yet. `vidbatch submit` or `vidbatch run` adds one.':
    '还没有批次。用 `vidbatch submit` 或 `vidbatch run` 添加。',
  'No batches on this page.': '本页没有批次。',
  Attention: '需要处理',
  'Attention: {n}': '需要处理：{n}',
  'Known since {time}.': '发现于 {time}。',
  'Nothing needs attention.': '没有需要处理的事项。',
  newer: '较新',
  older: '较早',
  'from {source}': '来自 {source}',
  'priority {n}': '优先级 {n}',
  'budget: {told}': '预算：{told}',
  'paid twice:': '重复付费：',
  'waiting, {gate}:': '等待中（{gate}）：',
  Find: '查找',
  all: '全部',

  // Schedules
  'No schedules. `vidbatch schedule add` makes one.': '还没有定时任务。用 `vidbatch schedule add` 创建。',
  '{cron} in {zone}': '{cron}（时区 {zone}）',
  'paused:': '已暂停：',
  'no ticks until it is resumed': '恢复之前不会触发',
  'Next run: {time}, {soon}': '下次运行：{time}（{soon}）',
  'then {times}': '之后 {times}',
  'no run yet': '尚未运行',
  'last run {state}:': '上次运行{state}：',
  'last run {batch}: {counts}': '上次运行 {batch}：{counts}',

  // Columns
  batch: '批次',
  model: '模型',
  rows: '行数',
  key: '编号',
  state: '状态',
  'task id': '任务 ID',
  error: '错误',
  prompt: '提示词',
  reason: '原因',

  // Workers
  worker: '工作进程',
  host: '主机',
  up: '已运行',
  'open calls': '进行中的请求',
  'rows/s': '行/秒',
  version: '版本',
  provider: '服务商',
  batches: '批次',
  '{host}, pid {pid}': '{host}，pid {pid}',
  '{n} of {all}': '{n} / {all}',
  'No worker is alive. {command} starts one.': '没有运行中的工作进程。运行 {command} 启动一个。',
  'silent, last seen {duration} ago': '没有动静，{duration}前最后一次出现',
  'gone, last seen {duration} ago': '已离线，{duration}前还在',
  stopping: '正在停止',
  working: '运行中',

  // Failures
  examples: '例如',
  what: '类型',
  cause: '起因',
  last: '最近一次',
  'what to do': '处理办法',
  '{n} {state}': '{n} 行{state}',
  '{what}: {detail}': '{what}：{detail}',
  '{name}: {rows}, {cost}': '{name}：{rows}，{cost}',
  'No row and no task failed.': '没有失败的行或任务。',
  since: '时间范围',
  'last hour': '近 1 小时',
  'last 12 hours': '近 12 小时',
  'last day': '近 1 天',
  'last week': '近 1 周',

  // Cost
  spent: '已花费',
  'in flight': '在途',
  'at risk': '有风险',
  billed: '已出账',
  'the price is not known': '价格未知',
  'not known': '未知',
  'Nothing was spent.': '尚无花费。',
  "At risk: rows that may have been paid, uncertain or given up. Billed: by the provider's bills.":
    '“有风险”：可能已经付费的行，结果不明或已放弃。“已出账”：以服务商账单为准。',

  // Find
  'There are more rows. Add a word, or one of state: model: batch: error: after: before:':
    '还有更多行。请再加一个词，或用以下条件之一：state: model: batch: error: after: before:',
  'The newest {rows}.': '最新的 {rows}。',
  'Search for a part of a key, prompt, task id or error, or narrow it: {example}':
    '可查找编号、提示词、任务 ID 或错误的一部分，也可以用条件缩小范围：{example}',
  'Find: {query}': '查找：{query}',
  'No row fits.': '没有符合的行。',

  ...SETTLE_ZH,
} as const satisfies Record<string, string>;

export type Text = keyof typeof ZH;

interface NounWords {
  /** The English plural, where it does not end in s. */
  many?: string;
  /** The Chinese, with its measure word. */
  zh: string;
}

const COUNTED = {
  row: { zh: '行' },
  'uncertain row': { zh: '个结果不明的行' },
  'other row': { zh: '个其他行' },
  task: { zh: '个任务' },
  'failed task': { zh: '个失败的任务' },
  'task id': { zh: '个任务 ID' },
  'surplus task id': { zh: '个多余的任务 ID' },
} as const satisfies Record<string, NounWords>;

export type Noun = keyof typeof COUNTED;

/** What is counted. */
export const NOUNS: Record<Noun, NounWords> = COUNTED;
