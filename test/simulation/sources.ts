import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import type * as writer from '../../src/worker/ledger-writer.ts';
import type * as journal from '../../src/worker/journal/journal.ts';
import type * as replay from '../../src/worker/journal/replay.ts';
import type * as heart from '../../src/worker/submit.ts';
import { applyMutation } from '../mutation/mutate.ts';
import type { Mutation } from '../mutation/mutations.ts';

/** The program's own sources, with nothing exchanged but what they stand on. */
export interface Sources {
  submit: (typeof heart)['submit'];
  createLedgerWriter: (typeof writer)['createLedgerWriter'];
  openJournal: (typeof journal)['openJournal'];
  replayJournals: (typeof replay)['replayJournals'];
}

const SRC = new URL('../../src/', import.meta.url).href;
const HERE = new URL('./', import.meta.url).href;

const DOUBLES: Record<string, string> = {
  'node:fs': 'doubles/fs.ts',
  'node:fs/promises': 'doubles/fs.ts',
  'node:timers/promises': 'doubles/machine.ts',
  'node:crypto': 'doubles/machine.ts',
  'database/lock.ts': 'doubles/machine.ts',
  'ledger/send/claim.ts': 'statements.ts',
  'ledger/send/blocked.ts': 'statements.ts',
  'ledger/send/record.ts': 'statements.ts',
  'ledger/send/journal.ts': 'statements.ts',
  'ledger/send/unmatched-attempts.ts': 'statements.ts',
  'ledger/send/provider.ts': 'statements.ts',
};

/** On the first line, so that line numbers stay: the globals that tell the time or make room. */
const GLOBALS =
  `import { Date, setImmediate } from '${HERE}doubles/machine.ts'; ` +
  `import { Buffer } from '${HERE}doubles/fs.ts'; `;

const TAG = '?simulated=';
const mutations: (Mutation | undefined)[] = [];
const applied = new Set<Mutation>();

registerHooks({
  resolve(specifier, context, nextResolve) {
    const tag = tagOf(context.parentURL);
    if (tag === undefined) return nextResolve(specifier, context);
    const builtin = DOUBLES[specifier];
    if (builtin !== undefined) return { url: HERE + builtin, shortCircuit: true };
    const resolved = nextResolve(specifier, context);
    if (!resolved.url.startsWith(SRC)) return resolved;
    const file = resolved.url.slice(SRC.length);
    const double = DOUBLES[file];
    if (double !== undefined) return { url: HERE + double, shortCircuit: true };
    return { ...resolved, url: resolved.url + tag };
  },
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const tag = tagOf(url);
    if (tag === undefined) return loaded;
    const file = url.slice(SRC.length, -tag.length);
    const mutation = mutations[Number(tag.slice(TAG.length))];
    const source = readFileSync(new URL(url), 'utf8');
    if (mutation?.file !== file) return { ...loaded, source: GLOBALS + source };
    applied.add(mutation);
    return { ...loaded, source: GLOBALS + applyMutation(source, mutation) };
  },
});

function tagOf(url: string | undefined): string | undefined {
  const at = url?.startsWith(SRC) === true ? url.indexOf(TAG) : -1;
  return at < 0 ? undefined : url?.slice(at);
}

/** `submit`, writer, journal and replay as they are, or with one guard taken out. */
export async function loadSources(mutation?: Mutation): Promise<Sources> {
  const tag = TAG + (mutations.push(mutation) - 1);
  const load = async <T>(file: string): Promise<T> => (await import(`${SRC}${file}${tag}`)) as T;
  const [{ submit }, { createLedgerWriter }, { openJournal }, { replayJournals }] = await Promise.all([
    load<typeof heart>('worker/submit.ts'),
    load<typeof writer>('worker/ledger-writer.ts'),
    load<typeof journal>('worker/journal/journal.ts'),
    load<typeof replay>('worker/journal/replay.ts'),
  ]);
  if (mutation !== undefined && !applied.has(mutation)) {
    throw new Error(`src/${mutation.file} is not among the simulated sources`);
  }
  return { submit, createLedgerWriter, openJournal, replayJournals };
}

/** One file of the ledger's SQL with a guard taken out. */
export async function loadStatements(mutation: Mutation): Promise<Record<string, unknown>> {
  const tag = TAG + (mutations.push(mutation) - 1);
  const loaded = (await import(`${SRC}${mutation.statements ?? mutation.file}${tag}`)) as Record<
    string,
    unknown
  >;
  if (!applied.has(mutation)) throw new Error(`src/${mutation.file} was not changed`);
  return loaded;
}
