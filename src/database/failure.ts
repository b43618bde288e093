import type { ExitCode } from '../core/errors.ts';
import { VidbatchError, messageOf } from '../core/errors.ts';

/** An error on its way between two processes: what callers look at, and nothing else. */
export interface PackedError {
  message: string;
  /** Of a statement that Postgres refused: `code` (SQLSTATE), `constraint`, `detail` and so on, as pg has them. */
  fields: Record<string, string>;
  /** Of a VidbatchError. */
  vidbatch?: { code: string; exitCode: ExitCode; hint: string | undefined };
}

const FIELDS = [
  'severity',
  'code',
  'detail',
  'hint',
  'position',
  'internalPosition',
  'internalQuery',
  'where',
  'schema',
  'table',
  'column',
  'dataType',
  'constraint',
  'routine',
];

export function packError(error: unknown): PackedError {
  const message = messageOf(error);
  if (error instanceof VidbatchError) {
    return {
      message,
      fields: {},
      vidbatch: { code: error.code, exitCode: error.exitCode, hint: error.hint },
    };
  }
  const fields: Record<string, string> = {};
  for (const name of FIELDS) {
    const value = (error as Record<string, unknown> | null)?.[name];
    if (typeof value === 'string') fields[name] = value;
  }
  return { message, fields };
}

export function unpackError({ message, fields, vidbatch }: PackedError): Error {
  if (vidbatch === undefined) return Object.assign(new Error(message), fields);
  const { code, exitCode, hint } = vidbatch;
  return new VidbatchError(code, message, { exitCode, ...(hint === undefined ? {} : { hint }) });
}
