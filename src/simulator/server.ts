/**
 * The room `simulator` simulates the provider, with its own record. Only the CLI, the library and tests may import it.
 * It may import core.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, usageError, VidbatchError } from '../core/errors.ts';
import { idIn, type Dialect } from './dialect.ts';
import { dialectOf } from './dialects/dialects.ts';
import { taskError } from './gateway-answers.ts';
import { makeProviderFiles } from './provider-files.ts';
import { type Controls, serveControl } from './control.ts';
import { Gateway } from './gateway.ts';
import { Handler } from './handler.ts';
import { AcceptRecord, Stats, type AcceptedCreate } from './record.ts';
import { Results } from './results.ts';
import { type RuleInput, Rules } from './fault-rules.ts';
import { changed, DEFAULTS, type SettingsPatch } from './settings.ts';
import { Tasks } from './tasks.ts';
import { Delays } from './http.ts';

const MAX_BODY_BYTES = 32 * 1024 * 1024;
/** As in nginx. A shorter time would bring the keep-alive race into every run. */
const KEEP_ALIVE_MS = 75_000;

export interface SimulatorOptions extends SettingsPatch {
  /** The built-in profile whose format it speaks. Default vidu-gateway. */
  profile?: string | undefined;
  /** Default 127.0.0.1. The control endpoint has no password. */
  host?: string | undefined;
  /** Default 0: any free port. */
  port?: number | undefined;
  /** The only accepted key; absent: any that is not empty. */
  apiKey?: string | undefined;
  /** JSON Lines, appended before every answer. An existing file is continued. */
  recordFile?: string | undefined;
  /** Decides all random values except task ids. Default 1. */
  seed?: number | undefined;
  /** The clock of tasks and quota, not of delays. Default Date.now. */
  now?: (() => number) | undefined;
  /** Models that are accepted in addition to the documented ones. */
  models?: readonly string[] | undefined;
  /** A larger body is 413. Default 32 MiB. */
  maxBodyBytes?: number | undefined;
}

export interface Simulator extends Omit<Controls, 'record' | 'addRule' | 'clearRules' | 'leave'> {
  /** The base URL, without `/v1` and without a slash at its end. */
  readonly url: string;
  readonly port: number;
  /** Every accepted create, in order, also with a lost answer. Live. */
  readonly record: readonly AcceptedCreate[];
  /** The signed URL of an accepted task's video, completed or not. */
  resultUrl: (taskId: string) => string;
  readonly faults: {
    /** Adds a rule; throws a usage error when it is wrong or could never apply. */
    add: (rule: RuleInput) => void;
    clear: () => void;
  };
  /** Resolves when the counts are reached. */
  reached: Stats['reached'];
  /** Cuts every connection, and refuses new ones for this time. Resolves when the server listens again. */
  leave: (ms: number) => Promise<void>;
  /** Stops listening and cuts every connection. May be called again. */
  close: () => Promise<void>;
}

/** @throws VidbatchError exit 2 for a wrong option, exit 1 when it cannot listen or read its record. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = '127.0.0.1', port = 0, apiKey, recordFile, seed = 1, now = Date.now, ...others } = options;
  const { models = [], maxBodyBytes = MAX_BODY_BYTES, profile, ...change } = others;
  const dialect = dialectOf(profile);

  let current = changed(DEFAULTS, change);
  const settings = () => current;
  const record = new AcceptRecord(recordFile);
  const rules = new Rules();
  const tasks = new Tasks(record, rules, settings, seed);
  const stats = new Stats(record.entries.length);
  const delays = new Delays();
  const state = { record, rules, tasks, stats, delays, settings, dialect, seed, now };
  const gateway = new Gateway(state, models);
  const results = new Results(state);
  const away = (ms: number): void => void leave(ms);
  const handler = new Handler({ ...state, gateway, results, apiKey, maxBodyBytes, models, leave: away });

  let closing: Promise<void> | undefined;
  let absence: Promise<void> | undefined;
  let address: AddressInfo;

  function leave(ms: number): Promise<void> {
    absence ??= (async () => {
      await shut(server);
      await delays.wait(ms);
      if (closing === undefined) await listen(server, host, address.port);
      absence = undefined;
    })();
    return absence;
  }

  const controls: Controls = {
    stats: () => stats.report(),
    record: () => record.entries,
    tasks: () => tasks.list(now()),
    providerFiles: () =>
      makeProviderFiles(tasks.list(now()), gateway.refused, {
        settings: current,
        wanted: (prompt) => rules.mistake(prompt),
        seed,
      }),
    settings,
    addRule: (rule) => {
      rules.add(rule);
      tasks.replan();
    },
    clearRules: () => {
      rules.clear();
      tasks.replan();
    },
    leave: away,
    configure: (wanted) => {
      current = changed(current, wanted);
      tasks.replan();
      if (wanted.balance !== undefined) gateway.balanceChanged();
    },
  };

  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 }, (req, res) => {
    route({ dialect, handler, results, controls }, req, res).catch((error: unknown) => breakDown(res, error));
  });
  try {
    await listen(server, host, port);
  } catch (error) {
    record.close();
    throw error;
  }

  address = server.address() as AddressInfo;
  const url = `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
  const { addRule, clearRules, record: _record, ...open } = controls;
  return {
    ...open,
    url,
    port: address.port,
    record: record.entries,
    resultUrl: (taskId) => {
      const create = record.find(taskId);
      if (create === undefined) throw usageError('simulator-task', `${taskId} was never accepted`);
      return results.url(create, url);
    },
    faults: { add: addRule, clear: clearRules },
    leave,
    reached: (milestone) => stats.reached(milestone),
    close: () => (closing ??= stop(server, delays, record)),
  };
}

async function route(
  {
    dialect,
    handler,
    results,
    controls,
  }: { dialect: Dialect; handler: Handler; results: Results; controls: Controls },
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const [path = ''] = (req.url ?? '').split('?');
  if (path.startsWith('/control/')) return serveControl(controls, req, res, path);
  if (req.method === 'POST' && dialect.creates.includes(path)) return handler.create(req, res, path);
  if (req.method !== 'GET') return handler.elsewhere(req, res, path);
  if (path === dialect.models?.path) return handler.models(req, res);
  const [asked, wanted] = [idIn(dialect.task, path), idIn(dialect.content, path)];
  if (asked !== undefined) return handler.query(req, res, asked);
  if (wanted !== undefined) return handler.content(req, res, wanted);
  if (results.isResult(path)) return results.serve(req, res, path);
  return handler.elsewhere(req, res, path);
}

/** Answers a failure of the simulator itself, such as a full disk. */
function breakDown(res: ServerResponse, error: unknown): void {
  if (res.headersSent || res.destroyed) {
    res.destroy();
    return;
  }
  const { status, headers, body } = taskError(500, 'simulator_error', messageOf(error));
  res.writeHead(status, headers);
  res.end(body);
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    const message = `cannot listen on ${host}:${port}: ${messageOf(cause)}`;
    throw new VidbatchError('simulator-listen', message, { cause });
  }
}

async function stop(server: Server, delays: Delays, record: AcceptRecord): Promise<void> {
  delays.close();
  await shut(server);
  record.close();
}

/** Stops listening, and closes every connection. */
async function shut(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
