#!/usr/bin/env node
// Old syntax on purpose: on a Node below the floor, this must still run and say so.
import { existsSync } from 'node:fs';
import module from 'node:module';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `vidbatch: needs Node 22.19 or newer, this is ${process.version} [OLD_NODE]\n` +
      '  In a checkout, `npm ci` brings a newer one along, and `npx vidbatch` uses it.\n',
  );
  process.exitCode = 2;
} else {
  // Half of a command's start is compiling: the next one finds it done.
  module.enableCompileCache?.();
  // A checkout runs its sources; a package has only what was built.
  const source = new URL('../src/cli.ts', import.meta.url);
  await import(existsSync(source) ? source.href : new URL('../dist/cli.js', import.meta.url).href);
}
