import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { helpOf } from './help.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PAGES = ['docs/deploy.md', 'docker-compose.yml', ...globSync('docs/kubernetes/*.yaml', { cwd: ROOT })];
/** Commands whose flags the pages name. */
const COMMANDS = [
  'work',
  'submit',
  'board',
  'migrate',
  'simulate',
  'doctor',
  'schedule',
  'reconcile',
  'retry',
];
/** Flags of docker, redis-server, pg_isready, node, npm and kubectl. */
const FOREIGN_FLAGS = words(
  'build scale rm profile appendonly maxmemory-policy quiet username dbname eval global ignore-not-found for from-file host import now',
);
/** Of docker-compose.yml alone, which says what they are. */
const FOREIGN_VARIABLES = words('POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB BOARD_PORT');

function words(text: string): Set<string> {
  return new Set(text.split(' '));
}

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

describe('what the pages on running it name', async () => {
  const helps = await Promise.all(COMMANDS.map(helpOf));
  // Help breaks its lines where it likes.
  const help = helps.map((text) => text.replaceAll(/\s+/g, ' ')).join(' ');
  const flags = new Set([...help.matchAll(/--([a-z][a-z-]+)/g)].map(([, name = '']) => name));
  const variables = new Set(`${help} ${read('.env.example')}`.match(/\b[A-Z][A-Z_]+\b/g));

  for (const page of PAGES) {
    it(`is there: ${page}`, () => {
      const text = read(page);
      for (const [, name = ''] of text.matchAll(/(?<![\w-])--([a-z][a-z-]+)/g)) {
        assert.ok(flags.has(name) || FOREIGN_FLAGS.has(name), `no command has --${name}`);
      }
      const named = /\b(?:VIDBATCH|REDIS_URL|DATABASE_URL|BOARD|POSTGRES)_?[A-Z_]*\b/g;
      for (const name of text.match(named) ?? []) {
        assert.ok(variables.has(name) || FOREIGN_VARIABLES.has(name), `nothing reads ${name}`);
      }
    });
  }

  it('is linked where it is: files and pages', () => {
    const targets = [...read('docs/deploy.md').matchAll(/\]\(([^)#]+)\)/g)].map(([, target = '']) => target);
    assert.ok(targets.length > 5);
    for (const target of targets) {
      assert.ok(globSync(join('docs', target), { cwd: ROOT }).length > 0, `${target} is not there`);
    }
  });

  it('makes an image without TypeScript, which npm keeps as the optional peer of a dependency', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { dev?: boolean }>;
    };
    const kept = Object.keys(packages).filter(
      (path) => path.split('/').some((part) => /^@?typescript$/.test(part)) && packages[path]?.dev !== true,
    );
    const removed = /npm ci --omit=dev .*&& rm -r (.*)$/m.exec(read('Dockerfile'))?.[1]?.split(' ') ?? [];
    for (const path of kept) {
      const isRemoved = removed.some((one) => path === one || path.startsWith(`${one}/`));
      assert.ok(isRemoved, `${path} is in the image`);
    }
    // Each has to be there: `rm -r` fails where it is not.
    for (const one of removed)
      assert.ok(
        kept.some((path) => path === one || path.startsWith(`${one}/`)),
        one,
      );
  });

  it('leaves a worker more time to end than it takes', () => {
    const unit = read('docs/deploy.md');
    const pods = read('docs/kubernetes/worker.yaml');
    const seconds = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1]);
    const stops = [
      [seconds(unit, /--shutdown-timeout (\d+)s$/m), seconds(unit, /^TimeoutStopSec=(\d+)$/m)],
      [seconds(pods, /--shutdown-timeout, (\d+)s/), seconds(pods, /terminationGracePeriodSeconds: (\d+)/)],
    ] as const;
    for (const [own, given] of stops) assert.ok(given >= own + 10, `${own} s of ${given} s`);
  });
});
