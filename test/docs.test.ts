import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PAGE, statesPage } from './core/make-states.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PAGES = [
  'README.md',
  'README.zh-CN.md',
  'CHANGELOG.md',
  ...globSync('docs/**/*.md', { cwd: ROOT }).sort(),
];
const read = (page: string): string => readFileSync(`${ROOT}/${page}`, 'utf8');

const NAMES = new Set(globSync('{src,test}/**/*.ts', { cwd: ROOT }).map((path) => posix.basename(path)));

/** What a page points to: links from its own folder, and paths of the checkout in code. */
function pathsOf(page: string): string[] {
  const text = read(page);
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)];
  const code = [...text.matchAll(/`((?:src|test|docs|bench|jobs)\/[\w./-]*)`/g)];
  return [
    ...links.map(([, path = '']) => posix.join(posix.dirname(page), path)),
    ...code.map(([, path = '']) => path).filter((path) => !path.includes('NAME') && !path.includes('ROOM')),
  ];
}

/** The anchors of its headings, as GitHub makes them. */
function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('the pages', () => {
  it('name only files that are there', () => {
    const gone = PAGES.flatMap((page) =>
      pathsOf(page)
        .filter((path) => !existsSync(`${ROOT}/${path}`))
        .map((path) => `${page}: ${path}`),
    );
    assert.deepEqual(gone, []);
  });

  it('link only to headings that are there', () => {
    const gone = PAGES.flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)/g)]
        .map(([, path = '', anchor = '']) => ({
          target: path === '' ? page : posix.join(posix.dirname(page), path),
          anchor,
        }))
        .filter(({ target, anchor }) => !anchorsOf(target).includes(anchor))
        .map(({ target, anchor }) => `${page}: ${target}#${anchor}`),
    );
    assert.deepEqual(gone, []);
  });

  it('name only source files that are there, also without their folder', () => {
    const gone = PAGES.flatMap((page) =>
      [...read(page).matchAll(/`([\w-]+\.ts)`/g)]
        .map(([, name = '']) => name)
        .filter((name) => !NAMES.has(name))
        .map((name) => `${page}: ${name}`),
    );
    assert.deepEqual(gone, []);
  });

  it('show the states that the code has; `npm run states` writes them', () => {
    assert.equal(readFileSync(PAGE, 'utf8'), statesPage());
  });

  it('list every decision, with its title and its date', () => {
    const decisions = globSync('docs/adr/0*.md', { cwd: ROOT }).sort();
    const lines = decisions.map((page) => {
      const [, number, title, date] = /^# (\d{4}): (.+)\n\nDate: (\d{4}-\d\d-\d\d)\b/.exec(read(page)) ?? [];
      return `| [${number}](${posix.basename(page)}) | ${title} | ${date} |`;
    });
    const listed = read('docs/adr/README.md')
      .split('\n')
      .filter((line) => line.startsWith('| ['));
    assert.deepEqual(listed, lines);
  });
});
