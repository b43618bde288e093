import { usageError } from '../core/errors.ts';
import type { Span } from './profile/row-schema.ts';
import type { RefusalKind } from './profile/outcome-schema.ts';
import type { Profile } from './profile/schema.ts';

/** Codes whose meaning the configuration changes: a code, or `wrapper/inner code`. */
export type CodeOverrides = Readonly<Record<string, RefusalKind>>;

/** An error code in a 2xx answer means the same as in an answer with status 400. */
const CODE_STATUS = 400;

type CodeRule = Profile['outcomes']['codes'][number];

/** Which status, code or text means which outcome, as a profile says. The first rule that matches counts. */
export class OutcomeTable {
  readonly #statuses: Profile['outcomes']['statuses'];
  readonly #texts: Profile['outcomes']['texts'];
  readonly #codes = new Map<string, CodeRule[]>();
  readonly #moved: ReadonlyMap<string, RefusalKind>;

  constructor({ statuses, codes, texts }: Profile['outcomes'], moved: CodeOverrides = {}) {
    this.#statuses = statuses;
    this.#texts = texts.map((rule) => ({ ...rule, text: rule.text.map((one) => one.toLowerCase()) }));
    this.#moved = new Map(Object.entries(moved));
    for (const rule of codes) {
      for (const code of rule.code) {
        const rules = this.#codes.get(code);
        if (rules === undefined) this.#codes.set(code, [rule]);
        else rules.push(rule);
      }
    }
  }

  /** The outcome of a status alone. A 2xx is judged by its task id. */
  ofStatus(status: number): RefusalKind {
    return this.#statuses.find((rule) => isIn(status, rule.status))?.outcome ?? 'uncertain';
  }

  /** The outcome of a code. `path`: the code with the wrappers around it; `wrapped`: there is one. */
  ofCode(code: string, path: string, wrapped: boolean, status: number): RefusalKind | undefined {
    const moved = this.#moved.get(path) ?? this.#moved.get(code);
    if (moved !== undefined) return moved;
    const isSuccess = status >= 200 && status <= 299;
    return this.#codes
      .get(code)
      ?.find(
        (rule) =>
          (wrapped || !rule.wrapped) &&
          (rule.status === undefined ||
            isIn(status, rule.status) ||
            (isSuccess && isIn(CODE_STATUS, rule.status))),
      )?.outcome;
  }

  /** The outcome of words in a message, at a status that their rule names. */
  ofText(message: string | undefined, status: number): RefusalKind | undefined {
    if (message === undefined || this.#texts.length === 0) return undefined;
    const said = message.toLowerCase();
    return this.#texts.find(
      (rule) => isIn(status, rule.status) && rule.text.some((one) => said.includes(one)),
    )?.outcome;
  }
}

function isIn(status: number, spans: readonly Span[]): boolean {
  return spans.some(({ from, to }) => status >= from && status <= to);
}

const MOVABLE: readonly string[] = [
  'rejected',
  'throttled',
  'not-sent',
  'halted',
  'uncertain',
] satisfies RefusalKind[];

/**
 * Checks a table of moved codes from the configuration.
 * @throws usageError for a kind that does not exist, `accepted`, or a key that is an HTTP status.
 */
export function checkCodes(codes: Readonly<Record<string, string>>): CodeOverrides {
  for (const [code, kind] of Object.entries(codes)) {
    if (!MOVABLE.includes(kind)) {
      throw usageError('code-kind', `codes.${code}: "${kind}" is not one of ${MOVABLE.join(', ')}`);
    }
    // A status may come from any proxy. Only codes of the provider can be moved.
    if (code.trim() === '' || /^[1-5]\d\d$/.test(code)) {
      throw usageError(
        'code-name',
        `codes: "${code}" is not a code of the answer's body; an HTTP status cannot be moved`,
      );
    }
  }
  return codes as CodeOverrides;
}
