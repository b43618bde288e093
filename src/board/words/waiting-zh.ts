/** The Chinese of why rows wait, and the names of what they wait for. */
export const WAITING_SENTENCES: readonly (readonly [english: string, chinese: string])[] = [
  // Why rows wait
  [
    'no worker feeds these rows: start `vidbatch work`, or `vidbatch run` with the manifest',
    '没有工作进程处理这些行：请启动 `vidbatch work`，或对清单运行 `vidbatch run`',
  ],
  [
    'the ledger sends nothing: a copy to {place} was begun at {time}, and may be complete. {hint}',
    '账本不再提交：{time} 开始复制到 {place}，副本可能已经完成。{hint}',
  ],
  [
    'the ledger sends nothing: it was copied to {place} at {time}, and the copy sends now. {hint}',
    '账本不再提交：已于 {time} 复制到 {place}，现在由副本提交。{hint}',
  ],
  [
    'the ledger sends nothing: it was restored at {time} from {backup}, and rows may have been sent since then. {hint}',
    '账本不提交：已于 {time} 从备份恢复（{backup}），备份之后可能已经提交过一些行。{hint}',
  ],
  ['the batch is paused; {command} continues ({who})', '批次已暂停；{command} 可继续（{who}）'],
  ['the batch is paused; {command} continues', '批次已暂停；{command} 可继续'],
  ['everything is paused; {command} continues ({who})', '全部已暂停；{command} 可继续（{who}）'],
  ['everything is paused; {command} continues', '全部已暂停；{command} 可继续'],
  [
    'model {model} is paused in this batch, and {n} row(s) wait(s) for it; {command} continues',
    '本批次中模型 {model} 已暂停，{n} 行在等待；{command} 可继续',
  ],
  [
    'model {model} is paused in all batches, and {n} row(s) wait(s) for it; {command} continues',
    '所有批次中模型 {model} 已暂停，{n} 行在等待；{command} 可继续',
  ],
  [
    'model {model} is paused in this batch, and {n} row(s) wait(s) for it; {command} continues ({who})',
    '本批次中模型 {model} 已暂停，{n} 行在等待；{command} 可继续（{who}）',
  ],
  [
    'model {model} is paused in all batches, and {n} row(s) wait(s) for it; {command} continues ({who})',
    '所有批次中模型 {model} 已暂停，{n} 行在等待；{command} 可继续（{who}）',
  ],
  [
    'the batch was cancelled; {command} makes its rows pending again',
    '批次已取消；{command} 可让各行重新待提交',
  ],
  [
    '{reason}; {report} names the rows: correct the manifest and submit it again, or {resume} continues as it is',
    '{reason}；{report} 会列出这些行：请修正清单后重新提交，或用 {resume} 原样继续',
  ],
  [
    '{origin} refuses the API key (HTTP {n}: {reason}); put the right key into VIDBATCH_API_KEY, then {commands} tries one row',
    '{origin} 拒绝该 API 密钥（HTTP {n}：{reason}）；请把正确的密钥放入 VIDBATCH_API_KEY，然后用 {commands} 试发一行',
  ],
  [
    '{halt}; correct the cause ({origin}), then {commands} tries one row',
    '{halt}；请先排除原因（{origin}），然后用 {commands} 试发一行',
  ],
  [
    'its deadline {time} is over, and it must not be sent late; submit it again with another --deadline, or none',
    '截止时间 {time} 已过，过时不再提交；请换一个 --deadline 或不带它重新提交',
  ],
  [
    '{n} off-peak row(s) wait(s) for their window {window}: it opens at {time}, in {age}',
    '{n} 行错峰任务等待时段 {window}：{time} 开放，还有 {age}',
  ],
  [
    '{n} row(s) wait(s) for the window {window}: it opens at {time}, in {age}',
    '{n} 行等待时段 {window}：{time} 开放，还有 {age}',
  ],
  [
    '{n} row(s) wait(s) for their own not_before time, the first at {time}, in {age}',
    '{n} 行等待各自的 not_before 时间，最早 {time}，还有 {age}',
  ],
  ['no remaining row fits the budget of {budget}; {hint}', '剩余预算放不下任何一行（{budget}）；{hint}'],
  [
    'no remaining row of a model that is not paused fits the budget of {budget}; {hint}',
    '剩余预算放不下任何一行未暂停模型的行（{budget}）；{hint}',
  ],
  [
    '{command} {sum}, or `submit`, pays for all of them`',
    '{command} {sum}（或用 `submit`）足够支付全部剩余行',
  ],
  [
    '{command}, or `submit`, with a higher budget continues the batch',
    '{command}（或用 `submit`）提高预算即可继续',
  ],
  [
    'the price of the remaining rows is not known, and the batch has a budget of {budget}; {hint}',
    '剩余行的价格未知，而批次设有预算（{budget}）；{hint}',
  ],
  ['its price is not known, and its batch has a budget; {hint}', '该行价格未知，而批次设有预算；{hint}'],
  ['{command} says what they cost', '{command} 可给出价格'],
  ['the provider does not answer; the next try is in {age}', '服务商没有应答；{age}后再试'],
  ['the provider asked to wait another {age}', '服务商要求再等 {age}'],
  [
    'this batch is for {origin}, and VIDBATCH_BASE_URL here is {here}; only workers of {again} send it',
    '本批次属于 {origin}，而这里的 VIDBATCH_BASE_URL 是 {here}；只有 {again} 的工作进程会提交它',
  ],
  ['one row at a time until one is accepted, after {cause}', '在一行被受理之前逐行试发，原因：{cause}'],
  [
    'the queue does not answer ({reason}): no new row is sent meanwhile, and no row is lost. Start the queue again; workers fill it from the ledger',
    '队列没有应答（{reason}）：期间不会提交新行，也不会丢失任何行。重新启动队列后，工作进程会从账本补齐',
  ],

  [
    'row {key} failed, and the first {n} rows must be accepted before the rest: {why}',
    '行 {key} 失败；前 {n} 行被受理之后才提交其余的行：{why}',
  ],
  [
    'row {key} failed, and the first {n} rows must be accepted before the rest',
    '行 {key} 失败；前 {n} 行被受理之后才提交其余的行',
  ],
  [
    'row {key} failed, and the first row must be accepted before the rest: {why}',
    '行 {key} 失败；首行被受理之后才提交其余的行：{why}',
  ],
  [
    'row {key} failed, and the first row must be accepted before the rest',
    '行 {key} 失败；首行被受理之后才提交其余的行',
  ],
  [
    '{n} of {total} rows failed, and {percent}% stop the batch; the last: {why}',
    '{total} 行中有 {n} 行失败，达到 {percent}% 时批次停止；最近一次：{why}',
  ],
  [
    '{n} of {total} rows failed, and {percent}% stop the batch',
    '{total} 行中有 {n} 行失败，达到 {percent}% 时批次停止',
  ],

  // The names of gates
  ['closed', '账本已停用'],
  ['paused', '已暂停'],
  ['cancelled', '已取消'],
  ['halted', '服务商已停用'],
  ['stopped', '批次已停止'],
  ['throttled', '限流'],
  ['other-provider', '其他服务商'],
  ['trying', '逐行试发'],
  ['window', '时段未到'],
  ['not-before', '时间未到'],
  ['deadline', '已过截止时间'],
  ['budget', '预算不足'],
  ['until {time}', '{time} 之后才会提交'],
];
