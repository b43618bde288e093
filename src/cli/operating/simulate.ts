import type { Command } from 'commander';
import { EXIT, usageError, type ExitCode } from '../../core/errors.ts';
import { parseCount, parseDuration, parseOneOf, parseSize } from '../../core/units.ts';
import { RESULT_FAULT_NAMES, RESULT_FAULTS } from '../../simulator/delivery.ts';
import { QUERY_SHAPES } from '../../simulator/dialect.ts';
import { DIALECT_NAMES } from '../../simulator/dialects/dialects.ts';
import { FAULT_NAMES, FAULTS } from '../../simulator/fault.ts';
import { MISTAKE_NAMES, MISTAKES } from '../../simulator/mistake.ts';
import { writeProviderFile } from '../../simulator/provider-files.ts';
import type { SimulatorOptions } from '../../simulator/server.ts';
import { collect, flag, globalFlags, isOn, parsePort, type GlobalFlags } from '../flags/flags.ts';
import type { Io } from '../output/io.ts';
import { onInterrupt } from '../signals.ts';

interface SimulateFlags extends GlobalFlags {
  profile: string;
  host: string;
  port: string;
  record?: string;
  key?: string;
  latency: string;
  fault?: string[];
  quota?: string;
  running?: string;
  throttle: string;
  slow: string;
  balance?: string;
  seed: string;
  taskTime: string;
  failing: string;
  queued: string;
  queryShape: string;
  queryFault?: string[];
  spaFallback?: boolean;
  mistake?: string[];
  taskList?: string;
  bill?: string;
  resultSize: string;
  resultLife?: string;
  resultFault?: string[];
}

export function simulateCommand(program: Command, io: Io, exit: (code: ExitCode) => void): void {
  const command = program
    .command('simulate')
    .description(
      'the simulated provider as a server: answers like the real one, costs nothing, records what it accepted',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ vidbatch simulate --port 8787 --record accepted.jsonl
  $ vidbatch simulate --port 8787 --fault timeout:created=0.01 --fault status-502:not-created=0.02 --quota 20
  $ VIDBATCH_BASE_URL=http://127.0.0.1:8787 VIDBATCH_API_KEY=any-key-will-do vidbatch run jobs/text.csv

A fault happens at a rate (--fault name=0.05; without a rate: always), for one request (header "x-simulate: name"), or
for one row (POST /control/rules {"fault":"name","match":{"prompt":"a red kite","times":2}} or {"match":{"nth":100}}).
Those marked * are name:created (the default: it costs money) or name:not-created.
${formatTable(
  FAULT_NAMES.map((name) => `${name}${FAULTS[name].creates === 'either' ? ' *' : ''}`),
  (name) => FAULTS[name.replace(' *', '') as (typeof FAULT_NAMES)[number]].about,
)}

Polls: --query-fault name=0.05 for a share of them, {"on":"query","fault":"throttle-seconds"} for one
row. How the tasks of a row proceed: POST /control/rules {"match":{"prompt":"a red kite"},"task":{"queuedMs":60000,
"ends":"expired"}}, and missingPolls, missingStatus, unknownStatus, backwards, afterEnd (the status after the end).

Its own books, as an operator would export them: GET /control/list.csv, list.json, bill.csv, bill.json. Mistakes in
them: --mistake name=rate, or POST /control/rules {"mistake":"name","match":{"prompt":"a red kite"}};
GET /control/mistakes shows where.
${formatTable(MISTAKE_NAMES, (name) => MISTAKES[name].about)}

Videos have signed URLs. Their faults happen at a rate (--result-fault name=0.05) or for one row (POST /control/rules
{"on":"result","fault":"result-truncated","match":{"prompt":"a red kite","times":2}}; or, instead of a fault,
{"task":{"resultBytes":50000000,"resultMs":1000,"resultRenewed":true}}):
${formatTable(RESULT_FAULT_NAMES, (name) => RESULT_FAULTS[name].about)}

Ask it: GET /control/stats, /control/record (every create that it accepted), /control/tasks, /control/settings.
Change it: POST or DELETE /control/rules; POST /control/settings, for example {"balance":10,"faults":["timeout=0.1"]};
POST /control/outage {"ms":5000} (refuses connections for this time).`,
    )
    .action(async (flags: SimulateFlags) => exit(await simulate(flags, io)));
  globalFlags(command);
  flag(
    command,
    '--profile <name>',
    `the provider whose format it speaks: ${DIALECT_NAMES.join(', ')}`,
    'vidu-gateway',
  );
  flag(command, '--host <address>', 'address to listen on', '127.0.0.1');
  flag(command, '--port <n>', 'port to listen on; 0: any free one', '8787');
  flag(command, '--record <file>', 'append every accepted create to this file, before it is answered');
  command.option('--key <key>', 'accept only this API key (default: any)');
  flag(command, '--latency <range>', 'before an answer, such as 200ms or 50ms-400ms', '50ms-150ms');
  command.option('--fault <spec>', 'name[:created|:not-created]=rate, repeatable', collect);
  flag(command, '--quota <n>', 'creates let through in any one second; more are 429');
  flag(
    command,
    '--running <n[:mode]>',
    'tasks that run at a time; more wait (20:queue) or are 429 (20:refuse)',
  );
  flag(command, '--throttle <fault>', 'which 429 is given over --quota and --running', 'throttle');
  flag(command, '--slow <duration>', 'how long slow faults and an outage take: slowMs', '10s');
  flag(command, '--balance <n>', 'creates that the account pays for; then 403');
  flag(command, '--seed <n>', 'seed of all random decisions', '1');
  flag(command, '--task-time <duration>', 'how long a task runs', '5s');
  flag(command, '--queued <duration>', 'how long a task waits before it runs', '1s');
  flag(command, '--failing <share>', 'share of tasks that fail, 0-1', '0');
  flag(
    command,
    '--query-shape <shape>',
    'shape of its answers about tasks: flat, flat-url, flat-result, wrapped, mixed',
    'flat',
  );
  command.option('--query-fault <spec>', 'name=rate, repeatable: faults of polls', collect);
  command.option(
    '--mistake <spec>',
    'name=rate, repeatable: mistakes in its task list and its bill',
    collect,
  );
  flag(command, '--task-list <file>', 'write its task list here at the end: .csv or .json');
  flag(command, '--bill <file>', 'write its bill here at the end: .csv or .json');
  flag(command, '--result-size <size>', 'bytes of a video', '64KB');
  flag(command, '--result-life <duration>', 'how long the URL of a video is valid (default: for ever)');
  command.option('--result-fault <spec>', 'name=rate, repeatable', collect);
  flag(command, '--spa-fallback', 'wrong paths answer 200 with a web page');
}

async function simulate(flags: SimulateFlags, io: Io): Promise<ExitCode> {
  const options: SimulatorOptions = {
    profile: flags.profile,
    host: flags.host,
    port: parsePort(flags.port),
    recordFile: flags.record,
    apiKey: flags.key,
    seed: parseCount('--seed', flags.seed, 0, 2 ** 31),
    latency: parseLatency(flags.latency),
    faults: flags.fault ?? [],
    resultFaults: flags.resultFault ?? [],
    requestsPerSecond: flags.quota === undefined ? null : parseCount('--quota', flags.quota, 1, 1_000_000),
    runningTasks: flags.running === undefined ? null : parseRunning(flags.running),
    throttle: flags.throttle,
    slowMs: parseDuration('--slow', flags.slow),
    balance: flags.balance === undefined ? null : parseCount('--balance', flags.balance, 0, 1_000_000_000),
    spaFallback: isOn(flags.spaFallback),
    mistakes: flags.mistake ?? [],
    queryFaults: flags.queryFault ?? [],
    queryShape: parseOneOf('BAD_SHAPE', '--query-shape', flags.queryShape, QUERY_SHAPES),
    task: {
      queuedMs: parseDuration('--queued', flags.queued),
      runningMs: parseDuration('--task-time', flags.taskTime),
      failureShare: parseShare(flags.failing),
      resultBytes: parseSize('--result-size', flags.resultSize),
      resultMs: flags.resultLife === undefined ? null : parseDuration('--result-life', flags.resultLife),
    },
  };
  const interrupt = onInterrupt(io.quit);
  // Loaded only here, so that other commands start faster.
  const { startSimulator } = await import('../../simulator/server.ts');
  const simulator = await startSimulator(options);
  io.out(isOn(flags.json) ? JSON.stringify({ url: simulator.url }) : `listening on ${simulator.url}`);
  await interrupt.happened;
  interrupt.dispose();
  const { creates, accepted } = simulator.stats();
  await simulator.close();
  if (flags.taskList !== undefined) writeProviderFile(simulator.providerFiles(), 'list', flags.taskList);
  if (flags.bill !== undefined) writeProviderFile(simulator.providerFiles(), 'bill', flags.bill);
  io.err(`${creates} creates tried, ${accepted} accepted`);
  return EXIT.ok;
}

/** Each name with its meaning, in two columns. */
function formatTable<Name extends string>(names: readonly Name[], aboutOf: (name: Name) => string): string {
  const width = Math.max(...names.map((name) => name.length)) + 2;
  return names.map((name) => `  ${name.padEnd(width)}  ${aboutOf(name)}`).join('\n');
}

function parseRunning(text: string): { limit: number; mode: 'queue' | 'refuse' } {
  const [limit = '', mode = 'queue', ...rest] = text.split(':');
  if (rest.length > 0 || (mode !== 'queue' && mode !== 'refuse'))
    throw usageError(
      'BAD_NUMBER',
      `--running: "${text}" is not a number with :queue or :refuse, such as 20:refuse`,
    );
  return { limit: parseCount('--running', limit, 1, 1_000_000), mode };
}

function parseLatency(text: string): { minMs: number; maxMs: number } {
  const [low = '', high = low, ...rest] = text.split('-');
  if (rest.length > 0)
    throw usageError('BAD_DURATION', `--latency: "${text}" is not a range such as 50ms-150ms`);
  const ms = (part: string): number =>
    /^0(ms|s)?$/.test(part.trim()) ? 0 : parseDuration('--latency', part);
  return { minMs: ms(low), maxMs: ms(high) };
}

function parseShare(text: string): number {
  const share = Number(text);
  if (!(share >= 0 && share <= 1))
    throw usageError('BAD_NUMBER', `--failing: "${text}" is not a share from 0 to 1`);
  return share;
}
