const COMMENTS = /--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\//g;
const SUBSCRIPTION = /^\s*(listen|unlisten)\s+(?:"((?:[^"]|"")+)"|([\w$]+)|(\*))\s*;?\s*$/i;

export interface Subscription {
  verb: 'listen' | 'unlisten';
  /** As notifications name it; `*` for every one. */
  channel: string;
}

/**
 * Recognises `LISTEN` and `UNLISTEN`. The one session of the embedded database listens for all of its clients, so
 * who gets what is known here and not to Postgres.
 */
export function subscriptionOf(sql: string): Subscription | undefined {
  const [, verb, quoted, plain, all] = SUBSCRIPTION.exec(sql.replace(COMMENTS, ' ')) ?? [];
  if (verb === undefined) return undefined;
  // An identifier without quotes folds to lower case, as Postgres does.
  const channel = all ?? quoted?.replaceAll('""', '"') ?? plain?.toLowerCase() ?? '';
  return { verb: verb.toLowerCase() as Subscription['verb'], channel };
}
