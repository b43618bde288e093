/** The rooms of `src/`: which there are, and in which direction they may import. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

/** From top to bottom, each with its main file. A room may import the rooms below it. */
const ROOMS = {
  cli: 'cli.ts',
  board: 'server.ts',
  operate: 'summary.ts',
  schedule: 'schedule.ts',
  worker: 'worker.ts',
  results: 'reconcile.ts',
  batch: 'producer.ts',
  manifest: 'manifest.ts',
  provider: 'client.ts',
  ledger: 'migrate.ts',
  database: 'database.ts',
  simulator: 'server.ts',
  core: 'states.ts',
};

/** The library is above all rooms. It is the only file outside of them. */
const LIBRARY = 'index.ts';
const ORDER = [LIBRARY, ...Object.keys(ROOMS)];

/** The simulator must never become a part of the program. */
const SIMULATOR_FOR = ['simulator', 'cli', LIBRARY];

/** Folders of `test/` that test no single room. */
const KINDS = ['clock', 'contract', 'crash', 'e2e', 'mutation', 'simulation', 'soak'];

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const IMPORT = /(?:\bfrom\s+|\bimport\s+|\bimport\(\s*)'(\.[^']+)'/g;

const roomOf = (file: string): string => file.split('/')[1] ?? '';

/** Why `file` may not import `target`; undefined: it may. */
function faultOf(file: string, target: string): string | undefined {
  const [from, to] = [roomOf(file), roomOf(target)];
  const what = `${file} (${from}) imports ${target} (${to})`;
  if (!ORDER.includes(to)) return `${what}: ${to} is not a room. The rooms are ${ORDER.join(', ')}`;
  if (ORDER.indexOf(to) < ORDER.indexOf(from)) {
    return `${what}, which is above it. Imports only go down: ${ORDER.join(' → ')}`;
  }
  if (to === 'simulator' && !SIMULATOR_FOR.includes(from)) {
    return `${what}: only ${SIMULATOR_FOR.join(', ')} may import the simulator`;
  }
  return undefined;
}

describe('the rooms of src/', () => {
  const sources = globSync('src/**/*.ts', { cwd: ROOT });
  const read = (file: string): string => readFileSync(`${ROOT}/${file}`, 'utf8');

  it('import the rooms below them only', () => {
    const faults = sources.flatMap((file) =>
      [...read(file).matchAll(IMPORT)].flatMap(
        ([, to = '']) => faultOf(file, posix.join(posix.dirname(file), to)) ?? [],
      ),
    );
    assert.ok(sources.length > 100, 'the sources were not found');
    assert.deepEqual(faults, []);
  });

  it('are all the folders that there are, and no file is beside them but the library', () => {
    const found = new Set(globSync('src/**/*.*', { cwd: ROOT }).map(roomOf));
    assert.deepEqual([...found].sort(), [...ORDER].sort());
  });

  it('say in their main file what they are for and what they may import', () => {
    for (const [room, main] of Object.entries(ROOMS)) {
      const [comment = ''] = /^\/\*\*[\s\S]*?\*\//.exec(read(`src/${room}/${main}`)) ?? [];
      const text = comment.replaceAll(/\n \*/g, '');
      assert.match(text, new RegExp(`The room \`${room}\` `), `src/${room}/${main} begins otherwise`);
      const said = /It may import ([^.]*)\./.exec(text)?.[1]?.split(/, | and /) ?? [];
      const below = Object.keys(ROOMS).filter(
        (other) => other !== room && faultOf(`src/${room}/`, `src/${other}/`) === undefined,
      );
      assert.deepEqual(said, below, `src/${room}/${main} names other rooms than it may import`);
    }
  });

  it('have their tests in folders of the same name', () => {
    for (const name of new Set(globSync('test/*/**/*.ts', { cwd: ROOT }).map(roomOf))) {
      assert.ok([...ORDER, ...KINDS].includes(name), `test/${name}/ is neither a room nor a kind of test`);
    }
  });
});

describe('an import that is not allowed', () => {
  it('is reported with both rooms and the order', () => {
    const fault = faultOf('src/core/prices.ts', 'src/manifest/request.ts') ?? '';
    assert.match(fault, /^src\/core\/prices\.ts \(core\) imports src\/manifest\/request\.ts \(manifest\)/);
    assert.match(fault, /above it.*index\.ts → cli → .* → manifest → .* → core$/);
  });

  it('is one of the simulator, except by the command line and the library', () => {
    assert.match(faultOf('src/worker/app.ts', 'src/simulator/server.ts') ?? '', /only .* may import/);
    assert.equal(faultOf('src/cli/operating/simulate.ts', 'src/simulator/server.ts'), undefined);
  });

  it('is one of a folder that is not a room', () => {
    assert.match(faultOf('src/cli/daily/run.ts', 'src/helpers/text.ts') ?? '', /helpers is not a room/);
  });
});
