/** The Chinese of the page of checks. */
export const DOCTOR_ZH = {
  Checks: '检查',
  'May the queue be restarted now?': '现在可以重启队列吗？',
  'Yes, at any time, and also if it loses its data: each row is in the ledger, and workers fill the queue again within seconds. Meanwhile no new row is sent, and no row is lost or paid twice.':
    '可以，随时都行，即使 Redis 数据丢失也没关系：每一行都在账本里，工作进程会在几秒内重新补齐队列。期间不会提交新行，也不会丢行或重复付费。',
  'Yes: the queue is in the same Postgres as the ledger, and workers wait until it is back. No row is lost or paid twice. It must keep its data, because it holds the ledger.':
    '可以：队列与账本在同一个 Postgres 中，工作进程会等它恢复。不会丢行，也不会重复付费。但它的数据必须保留，因为账本就在里面。',
  'There is no server to restart: ledger and queue are in the data folder. Workers may be stopped and started at any time. Keep the folder.':
    '没有需要重启的服务器：账本和队列都在数据文件夹中。工作进程可以随时停止和启动。请保留该文件夹。',
  'What it keeps over a restart: {what}': '重启后保留的数据：{what}',
  'The checks only read, and cost nothing. They look from the machine of this board; `vidbatch doctor` does the same on the machine of a worker.':
    '检查只读取信息，不产生费用。检查的是控制台所在的机器；在工作进程所在的机器上请运行 `vidbatch doctor`。',
  'Run the checks': '开始检查',
  'Run the checks again': '重新检查',
  'Checked {time}.': '检查时间：{time}。',
  '{title}: {n}': '{title}：{n}',
  Failed: '失败',
  Warnings: '警告',
  'All right': '正常',
  'Not checked': '未检查',
} as const satisfies Record<string, string>;

/** The findings of the doctor that a board meets most. */
export const DOCTOR_SENTENCES: readonly (readonly [english: string, chinese: string])[] = [
  // Configuration
  ['not set here: only workers need it', '此处未设置：只有工作进程需要'],
  ['the profile needs no key', '该 profile 不需要密钥'],
  ['any number of machines', '可用任意多台机器'],
  ['one machine, one worker', '一台机器，一个工作进程'],
  ['embedded in {folder}', '内嵌于 {folder}'],
  ['version {text}; {row} or newer is supported', '版本 {text}；支持 {row} 或更新版本'],

  // Data folder
  ['{folder} can be written', '{folder} 可写'],
  ['{text} GiB free', '剩余 {text} GiB'],
  ['on a disk of this machine', '位于本机磁盘'],
  ['no other process holds the folder', '没有其他进程占用该文件夹'],
  [
    'held by process {n} since {time}, which shares it through its socket',
    '自 {time} 起由进程 {n} 持有，并通过套接字共享',
  ],
  ['none yet; the ledger knows them', '尚无'],
  ['{n} read; the ledger knows them', '已读取 {n} 个；账本都认识'],

  // Postgres and the ledger
  ['this user may write the ledger', '该用户可写账本'],
  ['a commit is on the disk before a request is sent', '发出请求之前提交已写入磁盘'],
  ['none: a session keeps its own connection', '无：每个会话使用自己的连接'],
  ['there is a pooler in session mode', '有连接池，会话模式'],
  ['this machine and the database agree on the time', '本机与数据库时间一致'],
  ['at version {n}', '版本 {n}'],
  ['nothing is paused, halted or throttled', '没有暂停、停用或限流'],
  ['everything is paused', '全部已暂停'],
  ['paused or stopped: {name}', '已暂停或停止：{name}'],
  ['paused models: {name}', '已暂停的模型：{name}'],
  ['no row is uncertain', '没有结果不明的行'],
  ['{n} row(s) [is|are] uncertain: [it|they] may have been accepted', '{n} 行结果不明：可能已被受理'],
  ['{n} queue(s) [is|are] being fed', '{n} 个队列有工作进程供给'],
  ['none, and no row waits to be sent', '没有工作进程，也没有行在等待提交'],
  ['rows wait to be sent, and no worker runs', '有行等待提交，但没有工作进程在运行'],
  ['Start {command}.', '请启动 {command}。'],
  ['{command} continues.', '{command} 可继续。'],
  ['{command} continues one.', '{command} 可继续其中一个。'],
  ['{command} shows the evidence, {again} settles a row.', '{command} 显示证据，{again} 处理一行。'],
  ['It continues by itself.', '会自动继续。'],

  // Redis and the queue
  ['a primary', '主节点'],
  ['a primary of a cluster', '集群的主节点'],
  ['maxmemory-policy is noeviction', 'maxmemory-policy 为 noeviction'],
  [
    'maxmemory-policy is {text}: a queue with evicted keys stalls',
    'maxmemory-policy 为 {text}：队列的键被逐出后会停滞',
  ],
  ['Set maxmemory-policy noeviction.', '请设置 maxmemory-policy noeviction。'],
  ['{text} MiB used, no limit of its own', '已用 {text} MiB，未设上限'],
  ['append-only file and snapshots', '仅追加文件（AOF）和快照'],
  ['append-only file', '仅追加文件（AOF）'],
  ['snapshots', '快照'],
  ['unknown, and not needed', '未知，也不需要'],
  [
    'no persistence, which is not needed: workers fill the queue again',
    '没有持久化，也不需要：工作进程会重新补齐队列',
  ],
  ['its last snapshot failed: by default it then refuses writes', '上一次快照失败：默认情况下此后会拒绝写入'],
  [
    'Look for its reason in the log of Redis: usually the disk is full.',
    '请在 Redis 日志中查找原因：通常是磁盘已满。',
  ],
  ['this user may run BullMQ’s scripts', '该用户可以运行 BullMQ 的脚本'],
  ['{n} job(s) to do in {m} queue(s)', '{m} 个队列中有 {n} 个待办作业'],
  ['{n} job(s) failed', '{n} 个作业失败'],
  [
    'Each says why on the board; the rows are in the ledger, and {command} shows which need a look.',
    '每个作业的原因见控制台；行都在账本里，{command} 显示哪些需要处理。',
  ],

  // The provider
  ['was not asked: the URL or the key is missing', '未查询：缺少 URL 或密钥'],
  [
    'it accepts the key and does not know a made-up task: URL and key are right',
    '接受该密钥，且不认识虚构的任务：URL 和密钥正确',
  ],
  ['agrees with this machine’s, to a few seconds', '与本机时间一致，误差在几秒内'],
  ['{host} takes connections, {text} ms', '{host} 可以连接，{text} 毫秒'],
];
