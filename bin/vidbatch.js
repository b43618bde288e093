#!/bin/sh
':' //; hup=ignored; trap 'hup=' HUP; kill -HUP $$; [ "$hup" ] && export VIDBATCH_SIGHUP=ignored; exec node "$0" "$@"
// To the shell, the line above is all there is: Node gives SIGHUP its default back at its start, so whether nohup has
// switched it off must be asked before.
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
  const source = new URL('../src/start.ts', import.meta.url);
  await import(existsSync(source) ? source.href : new URL('../dist/start.js', import.meta.url).href);
}
