import { readFile } from 'node:fs/promises';
import { EXIT, messageOf, usageError, type ExitCode } from '../../core/errors.ts';
import { isPlainObject, parseJson } from '../../core/json.ts';
import type { Outcome, TaskReport } from '../../core/outcome.ts';
import { excerpt } from '../../core/text.ts';
import { formatDuration } from '../../core/units.ts';
import { dialectOf } from '../../provider/dialect.ts';
import { judge } from '../../provider/judgement.ts';
import { loadProfile } from '../../provider/profile/load.ts';
import { readTask } from '../../provider/task-answer.ts';
import type { Answer } from '../../provider/answer.ts';
import { isOn, type GlobalFlags } from '../flags/flags.ts';
import type { Io } from '../output/io.ts';

const SHAPE =
  'The file holds the body of an answer, or {"status": 429, "headers": {"retry-after": "5"}, "body": {…}}.';

/** What an answer means by a profile: to a create, and to a poll. Asks no provider. */
export async function tryAnswer(
  profileName: string,
  file: string,
  flags: GlobalFlags,
  io: Io,
): Promise<ExitCode> {
  const { profile } = loadProfile(profileName);
  const answer = await readAnswer(file);
  const dialect = dialectOf(profile);
  const now = Date.now();
  const created = judge(answer, dialect, { now, queryUrlOf: (url) => url });
  const asked = readTask(answer, dialect, { now });
  if (isOn(flags.json)) {
    io.out(JSON.stringify({ profile: profile.name, status: answer.status, create: created, task: asked }));
    return EXIT.ok;
  }
  io.out(`${file}: HTTP ${answer.status}, by the profile ${profile.name}`);
  for (const line of ['as the answer to a create', ...formatOutcome(created).map(indented)]) io.out(line);
  for (const line of ['as the answer about a task', ...formatReport(asked).map(indented)]) io.out(line);
  return EXIT.ok;
}

const indented = (line: string): string => `  ${line}`;

/** @throws VidbatchError exit 2 for a file that cannot be read, or whose status or headers are wrong. */
async function readAnswer(file: string): Promise<Answer> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw usageError('ANSWER_UNREADABLE', `the answer ${file} cannot be read: ${messageOf(error)}`, SHAPE);
  }
  const whole = parseJson(text)?.value;
  const keys = isPlainObject(whole) ? Object.keys(whole) : [];
  const isWhole =
    keys.includes('status') &&
    keys.includes('body') &&
    keys.every((key) => ['status', 'headers', 'body'].includes(key));
  // The text as it is: the digits of a large number count.
  if (!isPlainObject(whole) || !isWhole) return { status: 200, headers: {}, body: text };
  const { status, headers = {}, body } = whole;
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 100 || status > 599)
    throw usageError('BAD_ANSWER', `${file}: status ${excerpt(status)} is not an HTTP status`, SHAPE);
  if (!isPlainObject(headers))
    throw usageError('BAD_ANSWER', `${file}: headers ${excerpt(headers)} are not an object`, SHAPE);
  return {
    status,
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]),
    ),
    body: typeof body === 'string' ? body : bodyText(text),
  };
}

/** The type of JSON does not have it yet. */
const exact = JSON as JSON & { rawJSON: (text: string) => unknown };

/** The member `body` of the file, with all digits of its numbers. */
function bodyText(text: string): string {
  const whole = parseJson(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined ? exact.rawJSON(source) : value,
  )?.value;
  return JSON.stringify((whole as { body: unknown }).body);
}

/** What each outcome means for the row. */
const MEANINGS: Readonly<Record<Outcome['kind'], string>> = {
  accepted: 'the row is submitted',
  rejected: 'the row is wrong: it is not sent again',
  throttled: 'the row waits, and is sent again',
  'not-sent': 'it was not accepted: the row is sent again',
  halted: 'nothing more is sent to this provider until a person has looked',
  uncertain: 'the provider may have accepted it: the row is never sent again by itself',
  invalid: 'the row is not sent',
};

function formatOutcome(outcome: Outcome): string[] {
  const { kind, evidence } = outcome;
  return [
    `${kind}: ${MEANINGS[kind]}`,
    ...(outcome.kind === 'accepted' ? [`task id      ${outcome.taskId}`] : []),
    ...field('status', outcome.kind === 'accepted' ? outcome.providerStatus : undefined),
    ...field('ask at', outcome.kind === 'accepted' ? outcome.queryUrl : undefined),
    ...('retry' in outcome && outcome.retry.afterMs !== undefined
      ? field('wait', formatDuration(outcome.retry.afterMs))
      : []),
    ...field('code', evidence.code),
    ...field('message', evidence.message),
    ...field('request id', evidence.requestId),
  ];
}

function formatReport(report: TaskReport): string[] {
  if (report.kind === 'missing') return ['missing: the provider does not know this task (yet)'];
  if (report.kind === 'transient')
    return [
      `${report.trouble}: says nothing about the task, which is polled again`,
      ...field('message', report.message),
      ...field('wait', report.afterMs === undefined ? undefined : formatDuration(report.afterMs)),
    ];
  const { status, rawStatus, progress, resultUrl, urlExpiry, failReason, cost } = report;
  const unread = status === 'unknown' ? ': no word of task.words, so the task is polled again' : '';
  return [
    `${status}${unread}`,
    ...field('status', rawStatus === '' ? 'not found: see task.status' : rawStatus),
    ...field('progress', progress === undefined ? undefined : `${progress}%`),
    ...field('result', resultUrl ?? (status === 'completed' ? 'not found: see task.result' : undefined)),
    ...field('expires', urlExpiry === undefined ? undefined : new Date(urlExpiry.at).toISOString()),
    ...field('reason', failReason),
    ...field('cost', cost === undefined ? undefined : `${cost.amount} ${cost.unit}`),
  ];
}

function field(name: string, value: string | undefined): string[] {
  return value === undefined ? [] : [`${name.padEnd(11)}  ${value}`];
}
