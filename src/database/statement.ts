import { createRequire } from 'node:module';
import type { PGlite } from '@electric-sql/pglite';
import { protocol } from '@electric-sql/pglite';
import type { QueryResult } from './database.ts';
import { parsers } from './parsers.ts';
import type { Plan, Plans } from './plan.ts';

const { serialize } = protocol;

// node-postgres' own conversion of a parameter to what goes on the wire, so that both drivers accept the same.
// It is exported (pg-cursor uses it) but has no types and no place in the ES entry.
const { prepareValue } = createRequire(import.meta.url)('pg/lib/utils') as {
  prepareValue: (value: unknown) => string | Buffer | null;
};

type Message = Awaited<ReturnType<PGlite['execProtocolStream']>>[number];
type Messages = typeof protocol.messages;
type RowDescription = InstanceType<Messages['RowDescriptionMessage']>;
type DataRow = InstanceType<Messages['DataRowMessage']>;
type CommandComplete = InstanceType<Messages['CommandCompleteMessage']>;
type ReadyForQuery = InstanceType<Messages['ReadyForQueryMessage']>;
type ErrorResponse = InstanceType<Messages['DatabaseError']>;

/** A statement ready to be sent; without values, the simple protocol, which takes several statements. */
export interface Prepared {
  text: string;
  values?: (string | Buffer | null)[];
}

/** What the session says when a statement is over: idle, in a transaction, or in one that has failed. */
export type SessionStatus = 'idle' | 'transaction' | 'failed';

export interface Answer {
  status: SessionStatus;
  /** The tag's first word, such as `LISTEN`. */
  command: string;
  result: QueryResult<Record<string, unknown>>;
  /** Has `code` (SQLSTATE), `constraint`, `detail`, as the server sent them; or it is about a value that could not be read. */
  error: Error | undefined;
}

/**
 * A statement with its values. Without parameters it may be several statements, as in a migration file. Throws when
 * a parameter cannot be converted.
 */
export function prepare(text: string, params: readonly unknown[] | undefined): Prepared {
  if (params === undefined || params.length === 0) return { text: text.toWellFormed() };
  return { text: text.toWellFormed(), values: wireValues(params) };
}

/** The wire messages. In one piece: half the time of PGlite's own `query`, which goes to and fro five times. */
function wire({ text, values }: Prepared, plan: Plan | undefined): Uint8Array {
  if (values === undefined) return serialize.query(text);
  const name = plan?.name ?? '';
  return Buffer.concat([
    ...(plan?.parsed === true ? [] : [serialize.parse({ name, text })]),
    serialize.bind({ statement: name, values }),
    serialize.describe({ type: 'P' }),
    serialize.execute({}),
    serialize.sync(),
  ]);
}

/** Parameters as text, bytes or null, as node-postgres sends them. Doing it twice changes nothing. */
export function wireValues(params: readonly unknown[]): (string | Buffer | null)[] {
  return params.map((value) => {
    const sent = prepareValue(value);
    // PGlite counts the bytes of a lone surrogate wrong, and the length would no longer be that of the text.
    return typeof sent === 'string' ? sent.toWellFormed() : sent;
  });
}

/** Runs it. A refused statement is in the answer; it throws only when the database itself broke. */
export async function run(db: PGlite, prepared: Prepared, plans: Plans): Promise<Answer> {
  const plan = prepared.values === undefined ? undefined : plans.of(prepared.text);
  const messages = await db.execProtocolStream(wire(prepared, plan), {
    throwOnError: false,
    syncToFs: false,
  });
  const answer = read(messages);
  if (plan !== undefined) {
    if (messages.some((message) => (message.name as string) === 'parseComplete')) plan.parsed = true;
    if (STALE_PLAN.has((answer.error as { code?: string } | undefined)?.code ?? ''))
      plans.forget(prepared.text);
  }
  return answer;
}

/** "cached plan must not change result type", and "prepared statement does not exist". */
const STALE_PLAN = new Set(['0A000', '26000']);

/** The result is that of the last statement; the error is the first. */
function read(messages: readonly Message[]): Answer {
  let status: SessionStatus | undefined;
  let command = '';
  let result: Answer['result'] = { rows: [], rowCount: null };
  let error: Error | undefined;
  let row: (fields: readonly (string | null)[]) => Record<string, unknown> = () => ({});
  let rows: Record<string, unknown>[] = [];
  for (const message of messages) {
    const name: string = message.name;
    switch (name) {
      case 'rowDescription':
        row = rowReader((message as RowDescription).fields);
        break;
      case 'dataRow':
        try {
          rows.push(row((message as DataRow).fields));
        } catch (unreadable) {
          error ??= unreadable as Error;
        }
        break;
      case 'commandComplete': {
        const tag = (message as CommandComplete).text;
        command = tag.split(' ', 1)[0] ?? '';
        result = { rows, rowCount: rowCount(tag) };
        rows = [];
        break;
      }
      case 'error':
        error ??= message as ErrorResponse;
        break;
      case 'readyForQuery':
        status = statusOf((message as ReadyForQuery).status);
        break;
      default:
    }
  }
  if (status === undefined) throw error ?? new Error('the embedded database gave no complete answer');
  return { status, command, result, error };
}

function rowReader(fields: RowDescription['fields']) {
  const columns = fields.map(({ name, dataTypeID }) => ({
    name,
    parse: parsers.getTypeParser(dataTypeID, 'text') as (text: string) => unknown,
  }));
  return (values: readonly (string | null)[]): Record<string, unknown> => {
    const row: Record<string, unknown> = {};
    columns.forEach(({ name, parse }, i) => {
      const text = values[i];
      row[name] = text === null || text === undefined ? null : parse(text);
    });
    return row;
  };
}

/** `INSERT 0 5`, `UPDATE 3`, `SELECT 2` end in a count; `BEGIN` and `CREATE TABLE` have none: null, as in pg. */
function rowCount(tag: string): number | null {
  const count = /\d+$/.exec(tag)?.[0];
  return count === undefined ? null : Number(count);
}

function statusOf(letter: string): SessionStatus {
  if (letter === 'I') return 'idle';
  return letter === 'T' ? 'transaction' : 'failed';
}
