import { REDACTED, redactor } from '../../provider/api-key.ts';

/** Keys of this kind of gateway, whoever's they are: a provider's file may have a column of them. */
const KEY = /\bsk-[A-Za-z0-9_-]{8,}/g;

/** Takes our own key out of a text, and whatever looks like one. */
export function withoutKeys(apiKey: string | undefined): (text: string) => string {
  const ours = apiKey === undefined ? (text: string): string => text : redactor(apiKey);
  return (text) => ours(text).replace(KEY, REDACTED);
}
