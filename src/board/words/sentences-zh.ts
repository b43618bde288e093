import { ACT_SENTENCES } from './acts-zh.ts';
import { DOCTOR_SENTENCES } from './doctor-zh.ts';
import { ERROR_SENTENCES } from './errors-zh.ts';
import { ROW_SENTENCES } from './rows-zh.ts';
import { SETTLE_SENTENCES } from './settle-zh.ts';
import { WAITING_SENTENCES } from './waiting-zh.ts';

/**
 * The Chinese of sentences that other rooms write, for the command line too: what needs attention, why rows wait, what to
 * do next. `{name}` stands for any text, or for what `SLOTS` says, `(s)` for letters that may be missing, `[was|were]` for
 * one of these words.
 * A sentence that is not in this list stays English.
 */
export const SENTENCES: readonly (readonly [english: string, chinese: string])[] = [
  // Signing in
  ['the name or the password is wrong', '用户名或密码不正确'],
  ['the token is wrong', '令牌不正确'],
  ['too many wrong passwords; try again in a while', '密码错误次数过多，请稍后再试'],
  ['this board asks for a name and a password', '请输入用户名和密码'],

  // Durations
  ['{h}h {m}m', '{h} 小时 {m} 分'],
  ['{m}m {s}s', '{m} 分 {s} 秒'],
  ['{s}s', '{s} 秒'],
  ['{n} days', '{n} 天'],

  ...ERROR_SENTENCES,

  // What needs attention
  [
    '{n} row(s) [was|were] paid twice: cancel one of the tasks at the provider, or use both',
    '{n} 行重复付费：请在服务商处取消其中一个任务，或者两个都用',
  ],
  [
    '{n} row(s) of batch {batch} [has|have] the task id of another row: the provider gave both one task, and one of them may have no video',
    '批次 {batch} 有 {n} 行与另一行的任务 ID 相同：服务商给了两行同一个任务，其中一行可能没有视频',
  ],
  [
    'nothing has been sent to {origin} for {age}: {cause}; {n} row(s) wait(s)',
    '已有 {age} 没有向 {origin} 提交：{cause}；{n} 行在等待',
  ],
  [
    'no worker is alive, the last one was seen {age} ago: {n} row(s) wait(s)',
    '没有运行中的工作进程，最后一个出现在 {age}前：{n} 行在等待',
  ],
  ['no worker is alive: {n} row(s) wait(s)', '没有运行中的工作进程：{n} 行在等待'],
  [
    'the workers that are alive send only other batches, or to another provider: {n} row(s) wait(s)',
    '运行中的工作进程只提交其他批次，或提交给其他服务商：{n} 行在等待',
  ],
  [
    'the worker on {host} with pid {pid} has given no sign of life for {age}',
    '{host} 上的 工作进程（pid {pid}）已有 {age} 没有动静',
  ],
  [
    '{n} row(s) may have been paid, at most {cost}; the oldest is {age} old',
    '{n} 行可能已经付费，最多 {cost}；最早的一行已有 {age}',
  ],
  ['{money}, and an unknown amount for {n} row(s)', '{money}，另有 {n} 行金额未知'],
  ['{n} row(s) may have been paid; the oldest is {age} old', '{n} 行可能已经付费；最早的一行已有 {age}'],
  ['{n} row(s) may have been paid, at most {cost}', '{n} 行可能已经付费，最多 {cost}'],
  ['{n} row(s) may have been paid', '{n} 行可能已经付费'],
  ['batch {batch} has stopped: {reason}; {n} row(s) wait(s)', '批次 {batch} 已停止：{reason}；{n} 行在等待'],
  [
    'the budget of batch {batch}, {money}, is used up: {n} row(s) wait(s)',
    '批次 {batch} 的预算（{money}）已用尽：{n} 行在等待',
  ],
  [
    'the last run of schedule {schedule} failed {age} ago: {reason}',
    '定时任务 {schedule} 上次运行在 {age}前失败：{reason}',
  ],
  [
    'the URL(s) of {n} video(s) of batch {batch} expire(s) within six hours, the first in {age}',
    '批次 {batch} 有 {n} 个视频的链接将在 6 小时内失效，第一个在 {age}后',
  ],
  [
    '{n} task(s) of batch {batch} failed within the last day; to make [it|them] again is paid again',
    '批次 {batch} 近一天有 {n} 个任务失败；重做需要再次付费',
  ],
  [
    '{n} notification(s) to {place} [was|were] given up, the last {age} ago: {why}; not told: {list}. Correct the URL of --notify, and test it',
    '发往 {place} 的 {n} 条通知已放弃，最近一次在 {age}前：{why}；未通知的事件：{list}。请修正 --notify 的 URL 并测试',
  ],

  ...WAITING_SENTENCES,

  // Numbers of a batch, between dots
  ['{n} accepted/s over the last {age}', '最近 {age}每秒受理 {n} 行'],
  ['minute', '1 分钟'],
  ['{n} accepted in the last {age}', '最近 {age}受理 {n} 行'],
  ['{n} task(s)', '{n} 个任务'],
  ['{n}% settled', '{n}% 已有结果'],
  ['{n} completed', '{n} 已完成'],
  ['{n} failed', '{n} 失败'],
  ['{n} not known to the provider', '{n} 服务商查无此任务'],
  ['{n} open', '{n} 进行中'],
  ['{budget}: {money} spent', '{budget}，已花费 {money}'],
  ['{money} held', '已冻结 {money}'],
  ['{money} left', '剩余 {money}'],
  ['at least {n} row(s) do(es) not fit', '至少 {n} 行放不下'],
  ['{n} row(s) do(es) not fit', '{n} 行放不下'],
  ['{n} row(s) [has|have] no known price', '{n} 行价格未知'],

  // What to do next
  [
    'a worker sends it when nothing keeps it waiting: {command} starts a worker',
    '没有阻碍时由工作进程提交：{command} 启动一个工作进程',
  ],
  ['in flight; judged by {time} at the latest', '请求进行中；最晚 {time} 判定'],
  [
    "look for it in the provider's own task list, then {command}, or `--not-sent` if it is not there, or `--abandon`; each with `--reason <text>`. It is never sent again by itself",
    '请在服务商的任务列表中查找，然后 {command}；若不存在用 `--not-sent`，或用 `--abandon` 放弃；都需带 `--reason <text>`。系统不会自行重新提交',
  ],
  [
    "look for it in the provider's own task list; {command} polls it again",
    '请在服务商的任务列表中查找；{command} 会再次查询',
  ],
  ['{download} fetches the videos, {export} lists all rows', '{download} 下载视频，{export} 导出全部行'],
  [
    'the provider failed to make this video; {command} makes it again, and pays for it again',
    '服务商生成此视频失败；{command} 可重做，需要再次付费',
  ],
  ['{command} asks for its status', '{command} 查询其状态'],
  [
    'correct the row in the manifest and submit it again, or {command}; as it is: {again}',
    '请在清单中修正该行并重新提交，或 {command}；若要原样重新提交：{again}',
  ],
  [
    'correct the row in the manifest and submit it again, or {command}',
    '请在清单中修正该行并重新提交，或 {command}',
  ],
  ['nothing: a person has given it up', '无需处理：已被人工放弃'],
  [
    'nothing: it is sent when its gates are open, while a worker runs',
    '无需处理：条件满足且有工作进程运行时会自动提交',
  ],

  // Where ledger and queue are
  ['ledger: {place}', '账本：{place}'],
  ['queue: {place}', '队列：{place}'],
  ['embedded PGlite in {folder}', '内嵌 PGlite，位于 {folder}'],
  ['the same database', '同一个数据库'],

  ...ROW_SENTENCES,

  ...ACT_SENTENCES,

  // Failures
  ['pay again', '再次付费'],
  ['correct', '修正'],
  ['then', '然后'],
  ['as it is', '原样重新提交'],

  ...SETTLE_SENTENCES,

  ...DOCTOR_SENTENCES,
];

/** What stands for a name in a sentence, if it is not any text. */
const SLOTS: Readonly<Record<string, string>> = {
  n: String.raw`[\d.,]+`,
  h: String.raw`\d+`,
  m: String.raw`\d+`,
  s: String.raw`\d+`,
  id: String.raw`[^\s·]+`,
  // A list has dots between its parts.
  money: '[^·]+?',
  folder: '[^·]+?',
  status: 'queued|in_progress|completed|failed|missing|unknown',
  decision: 'resolve --(?:task-id|not-sent|abandon)',
  event:
    'retry(?: --failed-tasks| --changed)?|submit --rename|task-(?:back|kept)' +
    '|(?:pause|resume)(?:-model)?|cancel|priority|schedule-(?:add|trigger)',
};

/** Names and words of people: they stay as they are, also a batch that is called `failed`. */
const OWN = new Set(
  'batch host id key model name now before origin own row said schedule task text who why'.split(' '),
);

interface Pattern {
  pattern: RegExp;
  chinese: string;
}

const PATTERNS: readonly Pattern[] = SENTENCES.map(([english, chinese]) => ({
  pattern: patternOf(english),
  chinese,
}));

function patternOf(english: string): RegExp {
  const source = english
    .split(/(\{\w+\}|\(\w+\)(?=\s|:|;|,|$)|\[[\w|]+\])/)
    .map((piece) => {
      if (/^\{\w+\}$/.test(piece)) return `(?<${piece.slice(1, -1)}>${SLOTS[piece.slice(1, -1)] ?? '.+?'})`;
      if (/^\(\w+\)$/.test(piece)) return `(?:${piece.slice(1, -1)})?`;
      if (/^\[[\w|]+\]$/.test(piece)) return `(?:${piece.slice(1, -1)})`;
      return piece.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
    })
    .join('');
  return new RegExp(`^${source}$`, 's');
}

/** The sentence in Chinese. Of a list with dots between its parts, each part that is known. What is not known stays as it is. */
export function toChinese(sentence: string): string {
  for (const { pattern, chinese } of PATTERNS) {
    const found = pattern.exec(sentence);
    if (found === null) continue;
    const values = found.groups ?? {};
    return chinese.replaceAll(/\{(\w+)\}/g, (slot, name: string) => {
      const value = values[name];
      return value === undefined ? slot : OWN.has(name) ? value : toChinese(value);
    });
  }
  const parts = sentence.split(' · ');
  return parts.length === 1 ? sentence : parts.map(toChinese).join(' · ');
}
