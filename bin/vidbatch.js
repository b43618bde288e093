#!/bin/sh
':' //; hup=ignored; trap 'hup=' HUP; kill -HUP $$; [ "$hup" ] && export VIDBATCH_SIGHUP=ignored; exec node "$0" "$@"
// To the shell, the line above is all there is: Node gives SIGHUP its default back at its start, so whether nohup has
// switched it off must be asked before.
// Old syntax on purpose: on a Node below the floor, this must still run and say so.
import { existsSync, lstatSync, mkdirSync } from 'node:fs';
import module from 'node:module';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `vidbatch: needs Node 22.19 or newer, this is ${process.version} [OLD_NODE]\n` +
      '  In a checkout, `npm ci` brings a newer one along, and `npx vidbatch` uses it.\n',
  );
  process.exitCode = 2;
} else {
  // Half of a command's start is compiling: the next one finds it done. Node trusts what it finds in the cache.
  const cache = ownFolder();
  if (cache !== undefined) module.enableCompileCache?.(cache);
  // A checkout runs its sources; a package has only what was built.
  const source = new URL('../src/cli/start.ts', import.meta.url);
  await import(existsSync(source) ? source.href : new URL('../dist/cli/start.js', import.meta.url).href);
}

/** A folder for compiled code, which no other user can write or replace; undefined: there is none. */
function ownFolder() {
  try {
    const home = homedir();
    const folder = join(home, '.cache', 'vidbatch', 'compiled');
    // Before anything is made: under sudo it may be the home of another user.
    if (!isAbsolute(home) || !isSafe(home)) return undefined;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return isSafe(folder) ? folder : undefined;
  } catch {
    return undefined;
  }
}

/** Whether only root and this user can write the folder, or put another in its place. A symbolic link is refused. */
function isSafe(folder) {
  const uid = process.getuid?.();
  if (uid === undefined) return true;
  for (let path = folder; ; path = dirname(path)) {
    const found = lstatSync(path);
    const isSticky = (found.mode & 0o1000) !== 0 && path !== folder;
    if (!found.isDirectory() || (found.uid !== uid && found.uid !== 0)) return false;
    if ((found.mode & 0o022) !== 0 && !isSticky) return false;
    if (path === dirname(path)) return true;
  }
}
