import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { messageOf, VidbatchError } from '../core/errors.ts';
import { type Answer, json } from './answer.ts';
import { PROVIDER_FILES, type ProviderFiles, fileText, contentType } from './provider-files.ts';
import type { AcceptedCreate, StatsReport } from './record.ts';
import type { RuleInput } from './fault-rules.ts';
import { checked, type Settings, type SettingsPatch } from './settings.ts';
import type { ListedTask } from './tasks.ts';
import { readBody } from './http.ts';

/** The parts that a test can read and change, in this process or over `/control/`. */
export interface Controls {
  stats: () => StatsReport;
  record: () => readonly AcceptedCreate[];
  tasks: () => ListedTask[];
  /** The task list and the bill that the provider would export, with the requested mistakes. */
  providerFiles: () => ProviderFiles;
  /** Throws a usage error when the rule is wrong. */
  addRule: (rule: RuleInput) => void;
  clearRules: () => void;
  /** Cuts every connection, and refuses new ones for this time. */
  leave: (ms: number) => void;
  settings: () => Settings;
  /** Throws a usage error, and changes nothing, when any part of the change is wrong. */
  configure: (change: SettingsPatch) => void;
}

/** `leaveMs`: after the reply, the server is closed for this time. */
type Reply = Answer & { leaveMs?: number };
type Route = (controls: Controls, body: unknown) => Reply;

const outage = z.strictObject({ ms: z.int().min(1).max(3_600_000) });

const ROUTES: Record<string, Route> = {
  'GET /control/stats': (controls) => json(200, controls.stats()),
  'GET /control/tasks': (controls) => json(200, { tasks: controls.tasks() }),
  'GET /control/mistakes': (controls) => json(200, { mistakes: controls.providerFiles().mistakes }),
  'GET /control/settings': (controls) => json(200, controls.settings()),
  'POST /control/settings': (controls, body) => {
    controls.configure(body as SettingsPatch);
    return json(200, controls.settings());
  },
  'POST /control/rules': (controls, body) => {
    controls.addRule(body as RuleInput);
    return json(200, { added: true });
  },
  'POST /control/outage': (_controls, body) => {
    const { ms } = checked('outage', outage, body);
    return { ...json(200, { ms }), leaveMs: ms };
  },
  'DELETE /control/rules': (controls) => {
    controls.clearRules();
    return json(200, { cleared: true });
  },
};

const RECORD = 'GET /control/record';
const MAX_BODY = 1024 * 1024;

/** Serves `/control/…`: JSON, and the record as NDJSON. Wrong input is 400 with the reason in `error`. */
export async function serveControl(
  controls: Controls,
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
): Promise<void> {
  const route = `${req.method} ${path}`;
  if (route === RECORD) {
    const lines = function* (): Generator<string> {
      for (const create of controls.record()) yield `${JSON.stringify(create)}\n`;
    };
    return stream(lines(), 'application/x-ndjson', res);
  }
  const file = PROVIDER_FILES.find((file) => route === `GET /control/${file}`);
  if (file !== undefined) return stream(fileText(controls.providerFiles(), file), contentType(file), res);
  const body = await readBody(req, MAX_BODY);
  if (body === 'gone') return;
  const answer: Reply =
    body === 'too-large' ? json(413, { error: 'the body is too large' }) : answerTo(controls, route, body);
  res.writeHead(answer.status, answer.headers);
  res.end(answer.body, () => {
    if (answer.leaveMs !== undefined) controls.leave(answer.leaveMs);
  });
}

function answerTo(controls: Controls, route: string, body: { text: string }): Reply {
  const handler = Object.hasOwn(ROUTES, route) ? ROUTES[route] : undefined;
  if (handler === undefined) {
    const files = PROVIDER_FILES.map((file) => `GET /control/${file}`);
    const known = [RECORD, ...files, ...Object.keys(ROUTES)].join(', ');
    return json(404, { error: `${route} is not known; known: ${known}` });
  }
  try {
    return handler(controls, body.text === '' ? undefined : (JSON.parse(body.text) as unknown));
  } catch (error) {
    if (!(error instanceof VidbatchError) && !(error instanceof SyntaxError)) throw error;
    const hint = error instanceof VidbatchError && error.hint !== undefined ? ` (${error.hint})` : '';
    return json(400, { error: messageOf(error) + hint });
  }
}

/** In pieces, because a record may have a million creates. */
async function stream(pieces: Iterable<string>, type: string, res: ServerResponse): Promise<void> {
  res.writeHead(200, { 'content-type': type });
  // A reader may leave early.
  await pipeline(Readable.from(pieces), res).catch(() => undefined);
}
