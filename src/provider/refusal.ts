import { defined } from '../core/json.ts';
import { asObject, parseEmbedded, parseValue, plainMessage, textIn, type Json } from './answer-body.ts';
import { firstOf, valuesAt, type Path } from './profile/path.ts';
import type { Profile } from './profile/schema.ts';

/** The codes and the message of an answer. */
export interface Refusal {
  /** Codes, the outermost wrapper first; in each layer the most specific code first. */
  layers: string[][];
  /** The innermost message. */
  message?: string;
  /** The same for people: a message that is JSON, in its own words. */
  said?: string;
  /** The body, and what a wrapper contains, are JSON objects. */
  readable: boolean;
}

/** Gateways may wrap gateways; four layers have not been seen. */
const DEEPEST = 4;

/** Reads codes and messages as a profile says where they stand, and every other body: HTML, text, nothing. */
export class RefusalReader {
  /** The code of a gateway that puts its vendor's JSON into a text. */
  readonly wrapper: string | undefined;
  readonly #answers: Profile['answers'];
  readonly #well: ReadonlySet<string>;

  constructor(answers: Profile['answers']) {
    this.#answers = answers;
    this.#well = new Set(answers.well);
    this.wrapper = answers.wrapper?.code;
  }

  /** `value`: the JSON of `body`. */
  read(value: unknown, body: string): Refusal {
    const { message: messages, wrapper } = this.#answers;
    const layers: string[][] = [];
    let message: string | undefined;
    let text = body;
    let object = asObject(value);
    while (object !== undefined && layers.length < DEEPEST) {
      const codes = codesAt(object, this.#answers.code);
      layers.push(codes);
      message = firstOf(object, messages, textIn) ?? message;
      if (wrapper === undefined || !codes.includes(wrapper.code)) return this.#refusal(layers, message, true);
      const wrapped = firstOf(object, wrapper.at, (one) => one);
      text = typeof wrapped === 'string' ? wrapped : '';
      object = asObject(wrapped) ?? parseEmbedded(text);
    }
    return this.#refusal(layers, message ?? plainMessage(text), false);
  }

  #refusal(layers: string[][], message: string | undefined, readable: boolean): Refusal {
    return defined({ layers, message, said: message && this.#inWords(message), readable });
  }

  #inWords(message: string): string {
    const object = asObject(parseValue(message));
    if (object === undefined) return message;
    const { message: messages, code } = this.#answers;
    return firstOf(object, messages, textIn) ?? codesAt(object, code)[0] ?? message;
  }

  /** Whether an answer reports an error, or a code that does not mean success. */
  tellsError(value: unknown): boolean {
    const { error, success } = this.#answers;
    if (firstOf(value, success, (one) => (one === false ? true : undefined)) === true) return true;
    return firstOf(value, error, (one) => (this.isError(one) ? true : undefined)) === true;
  }

  /** Whether a value of an error field says something else than success. */
  isError(value: unknown): boolean {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint')
      return !this.#isWell(String(value).trim().toLowerCase());
    if (typeof value !== 'object' || value === null) return value === true;
    return Object.values(value).some((part) =>
      typeof part === 'object' ? part !== null : this.isError(part),
    );
  }

  /** `0` in a profile also stands for 00 and 000, and `2xx` for all of 200-299. */
  #isWell(word: string): boolean {
    if (this.#well.has(word)) return true;
    if (/^0+$/.test(word)) return this.#well.has('0');
    return /^[1-5]\d\d$/.test(word) && this.#well.has(`${word.charAt(0)}xx`);
  }
}

/** Texts before numbers, because a text is more specific. */
function codesAt(object: Json, paths: readonly Path[]): string[] {
  const values = paths.flatMap((path) => valuesAt(object, path));
  const words = values.filter((value) => typeof value === 'string' && /^[\w.:-]{1,128}$/.test(value));
  const numbers = values
    .filter((value) => typeof value === 'number' || typeof value === 'bigint')
    .map(String);
  return [...new Set([...(words as string[]), ...numbers])];
}
