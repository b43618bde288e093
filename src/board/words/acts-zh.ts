/** The Chinese of the acts: their buttons, confirmation pages and notices. */
export const ACTS_ZH = {
  // Buttons
  Actions: '操作',
  Pause: '暂停',
  Resume: '恢复',
  Cancel: '取消',
  Retry: '重试',
  Priority: '优先级',
  'Make failed tasks again': '重做失败的任务',
  Budget: '预算',
  'Raise the budget': '提高预算',
  'Pause everything': '全部暂停',
  'Resume everything': '全部恢复',
  'Run it now': '立即运行',
  Back: '返回',

  // Rows and money
  money: '金额',
  'waiting: not sent yet': '待提交',
  'in flight: held': '在途：已冻结',
  'uncertain, may have been paid: held': '结果不明，可能已付费：已冻结',
  'accepted: spent': '已受理：已花费',
  nothing: '0',
  'at most {money}': '最多 {money}',
  'an unknown amount': '金额未知',
  'an unknown amount for {rows}': '{rows}金额未知',
  '{money}, and an unknown amount for {rows}': '{money}，另有 {rows}金额未知',
  'at most {money}, and an unknown amount for {rows}': '最多 {money}，另有 {rows}金额未知',
  'Only one model:': '只针对一个模型：',
  'Only some of them:': '只针对其中一部分：',

  // Pause and resume
  everything: '全部批次',
  'model {model} in all batches': '全部批次中的模型 {model}',
  'model {model} in batch {batch}': '批次 {batch} 中的模型 {model}',
  'Pause {what}': '暂停：{what}',
  'What waits is not sent until it is resumed: {rows}. Rows in flight finish. It costs nothing.':
    '等待中的行在恢复之前不会提交：{rows}。在途的行会完成。此操作不产生费用。',
  'Why (optional)': '原因（可不填）',
  '{what}: paused; rows in flight finish': '{what}：已暂停；在途的行会完成',
  'Resume {what}': '恢复：{what}',
  'What waits may then be sent: {rows}, for {money}. Rows that wait for another reason still wait.':
    '恢复后可以提交：{rows}；费用：{money}。因其他原因等待的行继续等待。',
  'The batch has stopped itself: {reason}': '该批次已自行停止：{reason}',
  '{origin} is halted ({code}: {reason}). One row is tried, and paid if it is accepted.':
    '{origin} 已被停用（{code}：{reason}）。将试发一行，若被受理则付费。',

  // Cancel
  'Cancel {what}': '取消：{what}',
  'No row waits. Rows in flight finish, and are paid if they are accepted; none is sent again.':
    '没有等待中的行。在途的行会完成，若被受理则付费；之后不会再提交。',
  'Cancel the batch': '取消整个批次',
  'Cancel {rows}': '取消 {rows}',
  'What waits is cancelled: {rows}, and {money} is not spent. Rows in flight finish, and are paid if they are accepted. A retry takes cancelled rows up again.':
    '等待中的行将被取消：{rows}，省下的费用：{money}。在途的行会完成，若被受理则付费。重试可重新提交已取消的行。',
  '{what}: {rows} cancelled; rows in flight finish': '{what}：已取消 {rows}；在途的行会完成',

  // Priority
  'Priority of {what}': '{what} 的优先级',
  'Batches with a higher number go first. It costs nothing, and acts within a second.':
    '数字大的批次先提交。此操作不产生费用，一秒内生效。',
  'Priority, from -100 to 100': '优先级（-100 到 100）',
  'Change the priority': '修改优先级',
  '{what}: priority {before} → {now}': '{what}：优先级 {before} → {now}',

  // Budget
  'Budget of {what}': '{what} 的预算',
  'The batch has no budget: nothing limits what it may cost.': '该批次没有预算：费用不受限制。',
  'money of the batch': '该批次的金额',
  'budget now': '当前预算',
  'spent: accepted rows': '已花费：已受理的行',
  'held: in flight or uncertain': '已冻结：在途或结果不明',
  left: '剩余',
  'The budget pays for all rows that wait.': '预算足够支付全部等待中的行。',
  'A budget of {money} pays for all rows that wait.': '预算为 {money} 时，足够支付全部等待中的行。',
  'No budget pays for rows without a known price: {rows}.': '价格未知的行无法在预算内提交：{rows}。',
  'Rows are sent as far as the budget pays for them, as soon as it is raised. A budget below what is spent and held stops all sending; rows in flight finish.':
    '提高预算后，会立即提交预算足够支付的行。预算低于已花费和已冻结的金额时，停止一切提交；在途的行会完成。',
  'New budget, with its currency, or none': '新预算（带币种），或 none（不设预算）',
  'Change the budget': '修改预算',
  none: '无',
  '{what}: budget {before} → {now}': '{what}：预算 {before} → {now}',
  'It pays for no waiting row: {rows} wait.': '预算付不起任何等待中的行：{rows}在等待。',
  'It does not pay for {rows}.': '预算还付不起 {rows}。',

  // Retry
  'Retry {what}': '重试：{what}',
  'No such row is rejected, exhausted or cancelled: there is nothing to retry.':
    '没有被拒绝、重试用尽或已取消的行：无可重试。',
  'Rows that were never paid are sent again: {rows}. Sending costs {money}: the price of these rows, and nothing more.':
    '将重新提交从未付费的行：{rows}。费用：{money}。这就是这些行本身的价格，没有额外费用。',
  'Send {rows} again': '重新提交 {rows}',
  '{what}: {rows} pending again': '{what}：{rows}重新等待提交',
  'Make failed tasks of {what} again': '重做 {what} 中失败的任务',
  'No task has failed: there is nothing to make again.': '没有失败的任务：无可重做。',
  'Failed at the provider: {tasks}. To make them again, you pay again: {money}.':
    '服务商生成失败：{tasks}。重做会再次付费：{money}。',
  'The budget of the batch does not pay for all of them.': '该批次的预算不足以支付全部任务。',
  'Each failed task is made again once. Its id and its price stay in the ledger.':
    '每个失败的任务只重做一次。其 ID 和价格保留在账本中。',
  '{what}: {rows} pending again, and will be paid again': '{what}：{rows}重新等待提交，将再次付费',
  '{rows} left alone: another task or request of them may have brought the video':
    '{rows}保持不变：其另一个任务或请求可能已生成视频',
  'Pay again for {tasks}': '为 {tasks}再次付费',
  'Type {word} to agree': '输入 {word} 以确认',

  // Schedules
  'Pause the schedule {what}': '暂停定时任务 {what}',
  'It makes no run until it is resumed. Rows of earlier runs are still sent. It costs nothing.':
    '恢复之前不会产生新的运行。之前运行的行仍会提交。此操作不产生费用。',
  'schedule {what}: paused': '定时任务 {what}：已暂停',
  'Resume the schedule {what}': '恢复定时任务 {what}',
  'It makes runs again, from its next tick on. Each run sends the rows of its manifest, and pays for them.':
    '从下一个触发时刻起恢复运行。每次运行都会提交清单中的行并付费。',
  'Next tick:': '下次触发：',
  'schedule {what}: resumed': '定时任务 {what}：已恢复',
  'Run the schedule {what} now': '立即运行定时任务 {what}',
  'A worker reads {manifest} and sends all of its rows. They are paid, also if an earlier run has sent the same rows.':
    '工作进程会读取 {manifest} 并提交其中全部的行。即使之前的运行提交过同样的行，也会付费。',
  'There is no earlier run, so the number of rows is not known before.': '之前没有运行过，因此无法预知行数。',
  'Its latest run, {batch}, for comparison:': '最近一次运行 {batch}，供参考：',
  'Its latest run still has {rows} to send: another run would be skipped.':
    '最近一次运行还有 {rows}待提交，再次运行会被跳过。',
  'No worker has made its latest run, {batch}, yet: another run would be skipped.':
    '最近一次运行 {batch} 尚未由工作进程执行，再次运行会被跳过。',
  '{batch} is due; a worker makes it': '{batch} 已到期，由工作进程执行',

  // What was not done
  'Nothing was done: it has changed since you saw it. Look again.': '未执行：内容已有变化，请重新确认。',
  'There is nothing to do.': '无事可做。',
  'Nothing was done: type {word} to agree to paying again.': '未执行：请输入 {word} 以同意再次付费。',
} as const satisfies Record<string, string>;

/** The Chinese of what an act did. */
export const ACT_SENTENCES: readonly (readonly [english: string, chinese: string])[] = [
  // What a resume did
  ['{what}: resumed', '{what}：已恢复'],
  ['there was no pause of all batches', '没有“全部暂停”需要恢复'],
  ['{what}: was not paused in all batches', '{what}：并没有在全部批次中暂停'],
  ['{what}: was not paused in this batch', '{what}：并没有在本批次中暂停'],
  ['{what}: was not paused', '{what}：并没有暂停'],
  [
    '{origin} was halted: one row is tried, and the others follow when it is accepted',
    '{origin} 曾被停用：先试发一行，被受理后其余的再跟上',
  ],
  ['still waiting: {n} more; {command} shows why', '仍在等待：另有 {n} 项；{command} 可查看原因'],
  ['still waiting: {batch}: {reason}', '仍在等待：{batch}：{reason}'],
];
