import { createRequire } from 'node:module';
import { protocol, type PGlite } from '@electric-sql/pglite';
import type { QueryResult } from './database.ts';
import { parsers } from './parsers.ts';
import type { PreparedStatement, PreparedStatements } from './prepared-statements.ts';

/*
 * Statements for PGlite, in the messages of the Postgres protocol. All messages of a statement go in one piece: that takes
 * half the time of PGlite's own `query`, which sends five of them one by one.
 */

const { serialize } = protocol;

// node-postgres' own conversion of a parameter, so that both drivers accept the same values. pg-cursor uses it too, but
// it has no types and is not in the ES entry.
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

/** A statement that can be sent. Without values it goes by the simple protocol, which takes several statements. */
export interface Statement {
  text: string;
  values?: (string | Buffer | null)[];
}

export interface Answer {
  /** The state of the session afterwards: idle, in a transaction, or in a transaction that has failed. */
  status: 'idle' | 'transaction' | 'failed';
  result: QueryResult<Record<string, unknown>>;
  /** What the server sent (`code`, `constraint`, `detail`), or that a value could not be read. */
  error: Error | undefined;
}

/** A statement with its values. Without parameters the text may hold several. Throws when a parameter cannot be converted. */
export function toStatement(text: string, params: readonly unknown[] = []): Statement {
  if (params.length === 0) return { text: text.toWellFormed() };
  return { text: text.toWellFormed(), values: wireValues(params) };
}

/** Parameters as text, bytes or null, as node-postgres sends them. To do it twice changes nothing. */
export function wireValues(params: readonly unknown[]): (string | Buffer | null)[] {
  return params.map((value) => {
    const sent = prepareValue(value);
    // PGlite counts the bytes of a lone surrogate wrong, and would send a wrong length.
    return typeof sent === 'string' ? sent.toWellFormed() : sent;
  });
}

function encode({ text, values }: Statement, prepared: PreparedStatement | undefined): Uint8Array {
  if (values === undefined) return serialize.query(text);
  const name = prepared?.name ?? '';
  return Buffer.concat([
    ...(prepared?.parsed === true ? [] : [serialize.parse({ name, text })]),
    serialize.bind({ statement: name, values }),
    serialize.describe({ type: 'P' }),
    serialize.execute({}),
    serialize.sync(),
  ]);
}

/** "cached plan must not change result type", and "prepared statement does not exist". */
const STALE_PLAN = new Set(['0A000', '26000']);

/** A refused statement is in the answer. Throws only when the database itself broke. */
export async function runStatement(
  db: PGlite,
  statement: Statement,
  kept: PreparedStatements,
): Promise<Answer> {
  const prepared = statement.values === undefined ? undefined : kept.get(statement.text);
  const messages = await db.execProtocolStream(encode(statement, prepared), {
    throwOnError: false,
    syncToFs: false,
  });
  const answer = decode(messages);
  if (prepared !== undefined) {
    if (messages.some((message) => (message.name as string) === 'parseComplete')) prepared.parsed = true;
    if (STALE_PLAN.has((answer.error as { code?: string } | undefined)?.code ?? ''))
      kept.forget(statement.text);
  }
  return answer;
}

/** The result is that of the last statement; the error is the first. */
function decode(messages: readonly Message[]): Answer {
  let status: Answer['status'] | undefined;
  let result: Answer['result'] = { rows: [], rowCount: null };
  let error: Error | undefined;
  let readRow: (fields: readonly (string | null)[]) => Record<string, unknown> = () => ({});
  let rows: Record<string, unknown>[] = [];
  for (const message of messages) {
    const name: string = message.name;
    switch (name) {
      case 'rowDescription':
        readRow = rowReader((message as RowDescription).fields);
        break;
      case 'dataRow':
        try {
          rows.push(readRow((message as DataRow).fields));
        } catch (unreadable) {
          error ??= unreadable as Error;
        }
        break;
      case 'commandComplete':
        result = { rows, rowCount: parseRowCount((message as CommandComplete).text) };
        rows = [];
        break;
      case 'error':
        error ??= message as ErrorResponse;
        break;
      case 'readyForQuery':
        status = parseStatus((message as ReadyForQuery).status);
        break;
      default:
    }
  }
  if (status === undefined) throw error ?? new Error('the embedded database gave no complete answer');
  return { status, result, error };
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

/** `INSERT 0 5`, `UPDATE 3`, `SELECT 2` end in a count. `BEGIN` and `CREATE TABLE` have none: null, as in pg. */
function parseRowCount(tag: string): number | null {
  const count = /\d+$/.exec(tag)?.[0];
  return count === undefined ? null : Number(count);
}

function parseStatus(letter: string): Answer['status'] {
  if (letter === 'I') return 'idle';
  return letter === 'T' ? 'transaction' : 'failed';
}
