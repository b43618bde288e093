/** The command lines that README and docs show, typed one after another, with the files that the pages speak of. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Client } from 'pg';
import { exits, job } from '../cli.ts';
import { docCommands, ROOT } from '../doc-commands.ts';
import { openCliOnPostgres, type CliOnPostgres } from './cli-on-postgres.ts';
import { csvOf, csvRow } from './manifest.ts';

/** Their commands are only parsed, by `test/doc-commands.test.ts`. */
const ONLY_PARSED: Record<string, string> = {
  'docs/commands.md': 'the examples of the help; the tests of each command run them with files of their own',
  'docs/deploy.md': 'they run in containers',
  'docs/notifications.md': 'they send to a chat room; `notify.test.ts` runs them with another URL',
  'docs/profiles.md': '`profile-page.test.ts` runs them with the answers of the page',
  'docs/console.md': 'a board runs until it is stopped; `test/board/command.test.ts` starts one',
};

interface Page {
  /** What a person has before the first command. */
  files: Record<string, string>;
  env?: Record<string, string>;
  /** What happens before the command that begins with these words. */
  before?: Record<string, (cli: CliOnPostgres) => Promise<void>>;
  /** Exit codes other than 0, by the first words of a command. */
  codes?: Record<string, number>;
}

const PRICES = readFileSync(job('prices.example.json'), 'utf8');
const NEW = { 'new.csv': csvOf(4, 'new'), 'prices.json': PRICES };

/** The manifest of the README, with the mistake that it shows. */
function manifestOf(page: string): string {
  const [, , text = ''] = /^( *)```csv\n([^]*?)^\1```$/m.exec(readFileSync(`${ROOT}/${page}`, 'utf8')) ?? [];
  return text.replaceAll(/^ +/gm, '');
}

/** Makes rows of the batch `prompts` uncertain, and lets their deadline pass. */
function lose(...ids: string[]): (cli: CliOnPostgres) => Promise<void> {
  return async ({ simulator, databaseUrl, write, run }) => {
    for (const id of ids) {
      await simulator.addRule({ fault: 'reset-after-body:not-created', match: { prompt: `the shot ${id}` } });
    }
    const lost = await write('lost.csv', `id,model,prompt\n${ids.map((id) => csvRow(id)).join('')}`);
    exits(await run(['run', lost, '--batch', 'prompts', '--add']), 5);
    const db = new Client(databaseUrl);
    await db.connect();
    await db.query(`update vidbatch.attempt set deadline = now() where outcome = 'uncertain'`);
    await db.end();
  };
}

/** The README, in either language. */
function readme(page: string, ids: readonly [string, string]): Page {
  return {
    files: { 'prompts.csv': manifestOf(page) },
    codes: { validate: 3 },
    before: {
      run: async ({ write }) => void (await write('prompts.csv', manifestOf(page).replace('9x16', '9:16'))),
      [`resolve prompts ${ids[0]}`]: lose(...ids),
    },
  };
}

const PAGES: Record<string, Page> = {
  'README.md': readme('README.md', ['shot-007', 'shot-008']),
  'README.zh-CN.md': readme('README.zh-CN.md', ['港口-07', '港口-08']),
  'docs/manifests.md': {
    files: { 'prompts.csv': csvOf(2), 'prices.json': PRICES },
    before: {
      'validate prompts.xlsx': async ({ write, run }) => {
        exits(await run(['run', await write('sheet.csv', csvOf(2, 'sheet'))]), 0);
        exits(await run(['export', 'sheet', '--output', 'prompts.xlsx']), 0);
      },
    },
  },
  'docs/money.md': { files: NEW },
  'docs/rates.md': {
    files: { ...NEW, 'urgent.csv': csvOf(2, 'urgent'), 'night.csv': csvOf(2, 'night'), 'text.csv': csvOf(2) },
    env: { VIDBATCH_OFFPEAK_WINDOW: '23:00-07:00 Asia/Shanghai' },
    before: { 'pause --model': async ({ run }) => void exits(await run(['run', 'text.csv']), 0) },
  },
  'docs/reconciliation.md': {
    files: { 'prompts.csv': csvOf(2, 'prompts'), 'prices.json': PRICES },
    env: { VIDBATCH_ALLOW_PRIVATE: 'true' },
    // It asks a person, and here is no terminal.
    codes: { 'resolve prompts --error-code': 2 },
    before: {
      'reconcile prompts': async ({ run }) => void exits(await run(['run', 'prompts.csv']), 0),
      'reconcile prompts --provider-file': async ({ simulator, write }) => {
        for (const file of ['list.json', 'bill.csv']) {
          const answer = await fetch(`${simulator.url}/control/${file}`);
          await write(file.replace('list', 'tasks'), await answer.text());
        }
      },
      'resolve prompts shot-007': lose('shot-007', 'shot-008', 'shot-009'),
    },
  },
  'docs/schedules.md': { files: { 'nightly.csv': csvOf(2) } },
};

describe('the commands that a page shows', () => {
  for (const [page, { files, env = {}, before = {}, codes = {} }] of Object.entries(PAGES)) {
    it(`do what it says, one after another: ${page}`, async (t) => {
      const cli = await openCliOnPostgres('--queued', '1ms', '--task-time', '1ms');
      t.after(cli.close);
      for (const [name, text] of Object.entries(files)) await cli.write(name, text);
      const left = new Map(Object.entries(before));
      for (const { args } of docCommands([page]).filter(({ whole }) => whole)) {
        const line = args.join(' ');
        for (const [words, prepare] of left) {
          if (!line.startsWith(words)) continue;
          left.delete(words);
          await prepare(cli);
        }
        const [, code = 0] = Object.entries(codes).find(([words]) => line.startsWith(words)) ?? [];
        exits(await cli.run(args, { env }), code);
      }
      assert.deepEqual([...left.keys()], [], 'the page has no such command any more');
    });
  }

  it('are run by a test, or it is said why not', () => {
    const shown = new Set(docCommands().flatMap(({ page, whole }) => (whole ? [page] : [])));
    assert.deepEqual([...shown].toSorted(), [...Object.keys(PAGES), ...Object.keys(ONLY_PARSED)].toSorted());
  });
});
