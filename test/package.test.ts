import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { exits, lastLine, openCli } from './cli.ts';
import { createDatabase, servers } from './servers.ts';
import { csvOf } from './e2e/manifest.ts';
import { startSimulatorProcess } from './e2e/simulator.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
};
const run = promisify(execFile);

interface Packed {
  filename: string;
  size: number;
  files: { path: string }[];
}

/** As npm makes it, unpacked in a project of its own, beside nothing but what it says that it depends on. */
async function install(project: string): Promise<Packed> {
  const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...env } = process.env;
  const pack = ['pack', '--json', '--loglevel=error', '--pack-destination', project];
  const { stdout } = await run('npm', pack, { cwd: ROOT, env });
  const [packed] = JSON.parse(stdout.slice(stdout.search(/^\[$/m))) as [Packed];
  const home = join(project, 'node_modules', 'vidbatch');
  await mkdir(home, { recursive: true });
  await run('tar', ['-xzf', join(project, packed.filename), '--strip-components=1', '-C', home]);
  for (const name of [...Object.keys(manifest.dependencies), '@types/node']) {
    const link = join(project, 'node_modules', name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(ROOT, 'node_modules', name), link);
  }
  return packed;
}

/** The examples of the library's page, in order; each is a program of its own. */
const EXAMPLES = [
  ...readFileSync(join(ROOT, 'docs', 'library.md'), 'utf8').matchAll(/```ts\n([^]*?)```/g),
].map(([, program = '']) => program);

/** What they link to may be in the repository alone: sources, tests and decisions. */
const FOR_DEVELOPERS = ['architecture', 'contributing', 'promise', 'states'].map((name) => `docs/${name}.md`);

/** Relative ones; what stands behind `#` or in quotes is not part of the path. */
function linksOf(page: string): string[] {
  return [...page.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, path = '']) => path);
}

describe('the package', async () => {
  const project = await mkdtemp(join(tmpdir(), 'vidbatch-package-'));
  const shared = await servers();
  const [packed, simulator, database] = await Promise.all([
    install(project),
    startSimulatorProcess(),
    createDatabase(shared),
  ]);
  const cli = await openCli({
    DATABASE_URL: database.url,
    VIDBATCH_BASE_URL: simulator.url,
    VIDBATCH_API_KEY: 'sk-package',
  });
  after(async () => {
    await cli.close();
    await simulator.close();
    await database.drop();
    await rm(project, { recursive: true, force: true });
  });
  const home = join(project, 'node_modules', 'vidbatch');
  const launcher = join(home, 'bin', 'vidbatch.js');
  const paths = new Set(packed.files.map(({ path }) => path));

  /** As a strict project that checks its libraries, too. */
  async function compile(...files: string[]): Promise<void> {
    const compilerOptions = {
      target: 'es2023',
      module: 'nodenext',
      moduleResolution: 'nodenext',
      strict: true,
      skipLibCheck: false,
      types: ['node'],
    };
    const config = join(project, 'tsconfig.json');
    await writeFile(config, JSON.stringify({ compilerOptions, files }));
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    const compiled = await run(process.execPath, [tsc, '-p', config], { cwd: project }).catch(
      (error: unknown) => error,
    );
    assert.equal((compiled as { stdout: string }).stdout, '');
  }

  it('holds what it needs, and nothing of its making', () => {
    const needed = [
      'dist/index.d.ts',
      'dist/ledger/migrations/001-schema.sql',
      'dist/provider/profiles/vidu-gateway.yaml',
      'dist/database/image.zst',
      'dist/board/live.js',
    ];
    for (const path of ['LICENSE', 'README.md', ...needed]) assert.ok(paths.has(path), `${path} is missing`);
    for (const path of paths)
      assert.doesNotMatch(
        path,
        /^(src|test|bench(?!\/(?:README|chart))|runtime|node_modules|\.ci|\.git|dist\/test)\//,
      );
    // Half of it is the image of an empty database.
    assert.ok(packed.size < 2 * 1024 * 1024, `${packed.size} bytes`);
  });

  it('holds everything that its pages point to; pages for developers point into the repository', () => {
    const pages = [...paths].filter((path) => path.endsWith('.md'));
    assert.ok(pages.length > 5, pages.join(' '));
    for (const page of pages) {
      for (const link of linksOf(readFileSync(join(home, page), 'utf8'))) {
        const target = posix.join(posix.dirname(page), link);
        const inPackage = paths.has(target) || [...paths].some((path) => path.startsWith(`${target}/`));
        assert.ok(
          inPackage || (FOR_DEVELOPERS.includes(page) && existsSync(join(ROOT, target))),
          `${page}: ${link} is not in the package`,
        );
      }
    }
  });

  it('runs a manifest', async () => {
    const program = [process.execPath, launcher];
    const ended = exits(await cli.run(['run', join(home, 'jobs', 'text.csv')], { program }), 0);
    assert.equal(lastLine(ended), '12 rows · 12 task ids · paid twice: none known');
    assert.equal(simulator.accepted().length, 12);
  });

  it('has an example that compiles and sends a manifest', async () => {
    const example = readFileSync(join(home, 'jobs', 'library.mts'), 'utf8');
    await writeFile(join(project, 'library.mts'), example);
    await compile('library.mts');
    const program = [process.execPath, join(project, 'library.mjs')];
    const ended = exits(await cli.run([join(home, 'jobs', 'image.jsonl')], { program }), 0);
    assert.equal(lastLine(ended), '8 rows · 8 task ids · paid twice: none known');
    const comment = readFileSync(join(ROOT, 'src', 'index.ts'), 'utf8').replaceAll(/^ \* ?/gm, '');
    assert.ok(
      comment.includes(`\`\`\`ts\n${example}\`\`\``),
      'the comment of src/index.ts has another example',
    );
  });

  it('has a page whose examples compile in a strict project, and run', async () => {
    await cli.write('prompts.csv', csvOf(12, 'prompts'));
    const names = EXAMPLES.map((_, n) => `example-${n}`);
    for (const [n, example] of EXAMPLES.entries()) await writeFile(join(project, `${names[n]}.mts`), example);
    await compile(...names.map((name) => `${name}.mts`));
    const outputs: string[] = [];
    for (const [n, example] of EXAMPLES.entries()) {
      const program = [process.execPath, join(project, `${names[n]}.mjs`)];
      const running = cli.start([], { program });
      if (example.includes('SIGTERM')) {
        await running.prints(/^working until SIGTERM$/);
        running.kill('SIGTERM');
      }
      outputs.push(exits(await running.ended, 0).stdout);
    }
    const [run, check, submit, , follow] = outputs;
    assert.equal(run, '12 rows · 12 task ids · paid twice: none known\n');
    assert.match(check ?? '', /^12 of 12 rows can be sent\n/);
    assert.equal(submit, 'prompts: 0 new rows, 12 known\n');
    assert.match(follow ?? '', /^prompts: \d+ completed, \d+ failed, \d+ open$/m);
  });

  it('says so on a Node that is too old', async () => {
    const older = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.11.1' } })`;
    const program = [
      process.execPath,
      '--import',
      `data:text/javascript,${encodeURIComponent(older)}`,
      launcher,
    ];
    const ended = exits(await cli.run(['--version'], { program }), 2);
    assert.match(ended.stderr, /^vidbatch: needs Node 22\.19 or newer, this is v.* \[OLD_NODE\]$/m);
    assert.equal(ended.stdout, '');
  });
});
