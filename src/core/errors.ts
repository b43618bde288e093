import { inspect } from 'node:util';

/** Exit codes of the command line. Only the room `cli` sets them. */
export const EXIT = {
  ok: 0,
  operational: 1,
  usage: 2,
  refused: 3,
  failedRows: 4,
  uncertainRows: 5,
  stopped: 6,
  differences: 7,
  /** Ctrl-C at a question. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/**
 * An error for a person, shown without a stack trace. The message says what happened, where, and what is allowed; `hint`
 * says what to do next. `code` is stable: scripts may match it.
 */
export class VidbatchError extends Error {
  override readonly name = 'VidbatchError';
  readonly code: string;
  readonly exitCode: ExitCode;
  readonly hint: string | undefined;

  constructor(
    code: string,
    message: string,
    options: { exitCode?: ExitCode; hint?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.exitCode = options.exitCode ?? EXIT.operational;
    this.hint = options.hint;
  }
}

/** A mistake in flags, environment or names: exit code 2. */
export function usageError(code: string, message: string, hint?: string): VidbatchError {
  return new VidbatchError(code, message, { exitCode: EXIT.usage, hint });
}

/** The manifest is invalid, or what it asks for could cost money unexpectedly: exit code 3, nothing was sent. */
export function refusal(code: string, message: string, hint?: string): VidbatchError {
  return new VidbatchError(code, message, { exitCode: EXIT.refused, hint });
}

/** The message of any thrown value; an object without one is printed. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  if (typeof error !== 'object' || error === null) return String(error);
  const { message } = error as { message?: unknown };
  return typeof message === 'string' && message !== '' ? message : inspect(error, { breakLength: Infinity });
}
