/** The Chinese of the pages that settle uncertain rows. */
export const SETTLE_ZH = {
  // Groups
  Uncertain: '结果不明',
  'Uncertain rows': '结果不明的行',
  'Uncertain rows of {batch}': '批次 {batch} 中结果不明的行',
  'Paid twice': '重复付费',
  'Cancel one of the tasks at the provider, or use both.': '请在服务商处取消其中一个任务，或者两个都用。',
  'There are more.': '还有更多。',
  'Settle them': '去处理',
  'Settle {rows}': '处理 {rows}',
  'No row is uncertain.': '没有结果不明的行。',
  '{rows} may have been paid, or not: only the provider knows. Nothing sends them again by itself.':
    '{rows}可能已付费，也可能没有，只有服务商知道。系统不会自动重新提交。',
  '{n} smaller groups are not shown.': '另有 {n} 个较小的分组未显示。',
  'the oldest:': '最早：',
  'at most {amount}': '最多 {amount}',
  'An answer to {rows} may still come, to the last until {time}.': '还有 {rows}可能收到应答，最晚到 {time}。',
  'No row was changed.': '没有行被更改。',
  '{rows} are pending and are sent again.': '{rows}已改回待提交，将重新提交。',
  '{rows} are cancelled, as their batch is.': '{rows}已取消，因为所在批次已取消。',
  '{rows} are given up.': '{rows}已放弃。',
  '{rows} got an answer meanwhile, which counts.': '{rows}在此期间收到了应答，以应答为准。',
  '{rows} stay uncertain until their deadline.': '{rows}在截止时间之前仍为结果不明。',

  // How far a call came
  'no answer was recorded': '没有记录到应答',
  'the request had not begun': '请求尚未开始发送',
  'the request was being written when it broke': '请求发送到一半时连接中断',
  'the whole request was sent, and no answer began': '请求已完整发出，没有收到任何应答',
  "the answer's head arrived, and its body broke off": '收到了应答头，应答体中断',
  'a whole answer arrived': '收到了完整的应答',

  // Rows of a group
  '{from}-{to} of {all}': '第 {from}-{to} 行，共 {all} 行',
  pages: '分页',
  first: '首页',
  previous: '上一页',
  next: '下一页',
  claimed: '领取时间',
  line: '行号',
  'request id': '请求 ID',
  'Settle all rows of this group': '一次处理这一组的所有行',
  'None of them was accepted': '全部未被受理',
  'Give them up': '全部放弃',
  'The next page says how many rows and how much money, and asks.': '下一页会列出行数和金额，并请你确认。',

  // The question
  'Call {rows} not accepted?': '确认 {rows}都未被受理？',
  'Give {rows} up?': '确认放弃 {rows}？',
  '{rows} more stay uncertain: an answer may still come until {time}.':
    '另有 {rows}仍为结果不明：还可能收到应答，最晚到 {time}。',
  'Yes, send them again': '是，重新提交',
  'Yes, give them up': '是，放弃',
  'No, go back': '否，返回',
  '{rows} are sent again. If the provider accepted them after all, they are paid twice: be sure that they are not in its list.':
    '{rows}会重新提交。如果服务商其实已经受理，就会付两次费：请先确认服务商的任务列表里没有它们。',
  '{rows} are given up, paid or not: they are not sent again, and what they may have cost stays in the cost.':
    '放弃 {rows}，无论是否已付费：不再提交，可能产生的费用仍计入费用。',
  'The row is sent again. If the provider accepted it after all, it is paid twice: be sure that it is not in the list of the provider.':
    '该行会重新提交。如果服务商其实已经受理，就会付两次费：请先确认服务商的任务列表里没有它。',
  'The row is given up, paid or not: it is not sent again, and what it may have cost stays in the cost.':
    '放弃该行，无论是否已付费：不再提交，可能产生的费用仍计入费用。',

  // One row
  'Settle this row': '处理该行',
  'Settle {key}': '处理 {key}',
  'the whole history': '完整历史',
  'Nothing was changed.': '没有任何更改。',
  Evidence: '证据',
  manifest: '清单',
  call: '请求时间',
  deadline: '截止时间',
  'phase reached': '到达的阶段',
  answer: '应答',
  headers: '应答头',
  'body, as far as it was kept': '应答体（保留的部分）',
  'idempotency key': '幂等键',
  'request that was sent': '发出的请求',
  'This board is read-only. On the command line:': '本控制台为只读。请用命令行：',
  "The provider's own list": '服务商的任务列表',
  'Or choose its file: CSV, JSON, JSONL or Excel, up to 16 MB':
    '或选择文件：CSV、JSON、JSONL 或 Excel，最大 16 MB',
  'Paste the task list of the provider: CSV or JSON, with its header':
    '粘贴服务商的任务列表：CSV（含表头）或 JSON',
  'Zone of times, names of columns': '时区、列名',
  'Zone of times that name none, such as Asia/Shanghai': '未注明时区的时间所在时区，例如 Asia/Shanghai',
  'Columns with other names, such as task_id=任务号': '列名不同时的对应关系，例如 task_id=任务号',
  'Find the task of this row': '查找该行的任务',
  'The list has {listed} tasks. {known} of them belong to rows of this ledger.':
    '列表中有 {listed} 个任务，其中 {known} 个属于本账本的行。',
  'Tasks that fit, the best first': '符合的任务，最可能的在前',
  'none of these: I type the task id below': '都不是：我在下面填写任务 ID',
  'Exactly one task fits this row, and it fits no other row.': '恰好只有一个任务符合该行，且它不符合其他行。',
  'Several tasks or several rows fit. Compare prompts and times.':
    '有多个任务或多个行符合。请比较提示词和时间。',
  'No task of the list fits this row. A list may be late or lack a page, so this proves nothing.':
    '列表中没有符合该行的任务。列表可能滞后或缺页，所以这不能证明任何事。',
  'One task fits, but nothing shows that the clock of the provider agrees with that of the ledger.':
    '有一个任务符合，但无法证明服务商的时钟与账本一致。',
  'One task fits, but another client uses the account: the task may belong to that client.':
    '有一个任务符合，但该账户还有其他客户端在用：任务可能是它的。',
  'One task fits, but another client sends the same prompts: the task may belong to that client.':
    '有一个任务符合，但另一个客户端也在提交相同的提示词：任务可能是它的。',
  'The list names the request id of this call: that is proof.': '列表中有这次请求的请求 ID：这就是证明。',
  'The same prompt and model, created {time}.': '提示词和模型相同，创建于{time}。',
  'The same model, created {time}. The list does not show its prompt.':
    '模型相同，创建于{time}。列表没有给出它的提示词。',
  '{rows} may have made it, too.': '{rows}也可能创建了它。',
  'at an unknown time': '未知时间',
  'in the second of the claim': '领取的同一秒',
  '{duration} before the claim': '领取前 {duration}',
  '{duration} after the claim': '领取后 {duration}',
  Decide: '作出决定',
  'How do you know?': '依据是什么？',
  'How do you know? It is kept with the row.': '依据是什么？会随该行保存。',
  'It was accepted': '已受理',
  'The task becomes the task of the row. Nothing is sent.': '该任务成为该行的任务，不会重新提交。',
  'It was not accepted': '未被受理',
  'The list has a task that fits this row: it may have been accepted.':
    '列表中有符合该行的任务：它可能已受理。',
  'An answer may still come until {time}. Before that, this is refused.':
    '还可能收到应答，最晚到 {time}。在此之前不能这样处理。',
  'Give up': '放弃',
} as const satisfies Record<string, string>;

/** The Chinese of the evidence, and of why nothing was done. */
export const SETTLE_SENTENCES: readonly (readonly [english: string, chinese: string])[] = [
  ['claimed {time}, call ended {end}, judged {judged}', '领取于 {time}，请求结束于 {end}，判定于 {judged}'],
  ['claimed {time}, no answer, judged {judged}', '领取于 {time}，没有应答，判定于 {judged}'],
  ['claimed {time}, call ended {end}', '领取于 {time}，请求结束于 {end}'],
  ['claimed {time}, no answer', '领取于 {time}，没有应答'],
  ['{time}; until then the row cannot be called not sent', '{time}；在此之前不能认定为未被受理'],
  ['{time}, passed', '{time}，已过'],
  ['sending: the request was being written when it broke', '发送中断：请求发送到一半时连接中断'],
  ['sent: the whole request was sent, and no answer began', '无应答：请求已完整发出，没有收到任何应答'],
  ["answering: the answer's head arrived, and its body broke off", '应答中断：收到了应答头，应答体中断'],
  [
    'answered: a whole answer arrived, which does not say whether the request was accepted',
    '应答完整：收到了完整的应答，但看不出请求是否被受理',
  ],
  [
    'none: the worker died or answered too late, and its journal was not read',
    '无记录：工作进程已终止或应答太晚，且它的日志未被读取',
  ],
  [
    'none: the worker died; its journal holds the intent, so the request may have left',
    '无记录：工作进程已终止；它的日志里有发送意图，所以请求可能已经发出',
  ],
  [
    '{row}: an answer may still come until {time}; until then a row cannot be called not sent',
    '{row}：{time} 之前还可能收到应答，在此之前不能认定为未被受理',
  ],
  [
    'task {task} belongs to row {key} of batch {batch}: a task belongs to one row',
    '任务 {task} 属于批次 {batch} 的行 {key}：一个任务只属于一行',
  ],
  [
    '{row} has changed since you saw its evidence: nothing was changed',
    '{row} 在你查看证据之后已有变化，没有任何更改',
  ],
  ['Look at the evidence again.', '请重新查看证据。'],
  ['The reason is kept with the row.', '依据会随该行保存。'],
  [
    'choose one task: {chosen} is chosen, and {typed} is typed',
    '只能选一个任务：选中的是 {chosen}，填写的是 {typed}',
  ],
  ['task id: not a text of 1 to 512 printable characters', '任务 ID 应为 1 到 512 个可打印字符'],
  ['reason: say how you know', '请说明依据'],
  [
    'the list is empty: paste the task list of the provider, or choose its file',
    '列表为空：请粘贴服务商的任务列表，或选择文件',
  ],
  ['a list is pasted and a file is chosen: give one of them', '既粘贴了列表又选择了文件：请只保留一个'],
  [
    'the list is larger than 16 MB, so nothing was compared: {command} reads files of any size',
    '列表超过 16 MB，未作比对：{command} 可读取任意大小的文件',
  ],
  ['zone: {zone} is not a zone such as Asia/Shanghai', '时区 {zone} 不是如 Asia/Shanghai 的时区名'],
  ['{place}: it has no task and no charge, so nothing was compared', '{place}：没有任务也没有费用，无从比较'],
  [
    '{place}: no column is known to hold task ids; its columns are {columns}',
    '{place}：找不到任务 ID 列；现有的列：{columns}',
  ],
  ['{place}: {text} does not say in which zone', '{place}：{text} 没有注明时区'],
  ['{place} amount: {text} is in no currency that the file names', '{place} 金额 {text} 没有注明币种'],
  ['{place}: {first} and {second} may both be the {field}', '{place}：{first} 和 {second} 都可能是 {field}'],
  ['--map {what}: no provider file has the header {text}', '{what}：粘贴的列表里没有列 {text}'],
  [
    "--map {what}: a line of a provider's file has no field {text}",
    '{what}：服务商的列表没有 {text} 这个字段',
  ],
  ['Fields are {list}.', '可用的字段：{list}。'],
  ['The headers are {list}.', '现有的列：{list}。'],
  ['{row} is {state}: only an uncertain row is resolved', '{row} 现在是 {state}：只能处理结果不明的行'],
  [
    'the ledger has lost the evidence of this row: no list can be compared with it',
    '账本里已没有该行的证据，无法与列表比对',
  ],
];
