/**
 * Preloaded into a real process (`NODE_OPTIONS=--import …`): loads one source file with a guard taken out, so that a
 * test can show that the harness notices.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { MUTATIONS, type Mutation, type MutationName } from './mutations.ts';

/** The environment in which a command runs with this guard taken out. */
export function mutated(name: MutationName): Record<string, string> {
  return {
    NODE_OPTIONS: `--import=${pathToFileURL(import.meta.filename).href}`,
    VIDBATCH_TEST_MUTATION: name,
  };
}

/** The source without the guard. @throws Error when the guard is not there exactly once: then the list is out of date. */
export function applyMutation(source: string, { file, from, to }: Mutation): string {
  const parts = source.split(from);
  if (parts.length !== 2) throw new Error(`src/${file} holds ${parts.length - 1} times: ${from}`);
  return parts.join(to);
}

const { VIDBATCH_TEST_MUTATION: wanted } = process.env;
if (wanted !== undefined) {
  const mutation = MUTATIONS[wanted as MutationName];
  const target = new URL(`../../src/${mutation.file}`, import.meta.url).href;
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (url !== target) return loaded;
      return { ...loaded, source: applyMutation(readFileSync(new URL(url), 'utf8'), mutation) };
    },
  });
}
