import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { adviceFor } from './binaries.ts';

describe('what the tests need of the machine', () => {
  it('is reported at once, with one command to paste', () => {
    const user = { system: 'debian', root: false } as const;
    assert.equal(
      adviceFor(['redis', 'postgres', 'pgbouncer', 'chromium'], user),
      'the tests need redis, postgres, pgbouncer and chromium, which this machine does not have; install them:\n' +
        '  sudo apt-get update && sudo apt-get install --yes --no-install-recommends redis-server postgresql pgbouncer chromium',
    );
    assert.match(
      adviceFor(['pgbouncer'], { system: 'debian', root: true }),
      /need pgbouncer,.*\n {2}apt-get .* pgbouncer$/,
    );
    assert.match(adviceFor(['chromium'], { system: 'homebrew', root: false }), /brew install google-chrome$/);
    assert.match(adviceFor(['redis'], { system: 'other', root: false }), /redis.*package manager$/);
  });

  it('names no variable that would not help: some tests start and kill servers of their own', () => {
    for (const system of ['debian', 'homebrew', 'other'] as const) {
      assert.doesNotMatch(adviceFor(['redis', 'postgres'], { system, root: false }), /_URL/);
    }
  });

  it('is looked at before lint and types, which take minutes', () => {
    const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      scripts: Record<string, string>;
    };
    assert.match(scripts['check'] ?? '', /^node test\/ready\.ts && /);
  });
});
