/**
 * After `npm ci`: puts the checkout's own Node where npm's scripts find it. npm before 11 links it, and then deletes the
 * link with the packages of other platforms, which have the same name for theirs.
 */
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const modules = fileURLToPath(new URL('../node_modules/', import.meta.url));
const binary = `node-${process.platform}-${process.arch}/bin/node`;
const link = `${modules}.bin/node`;

if (existsSync(modules + binary) && !existsSync(link)) {
  mkdirSync(`${modules}.bin`, { recursive: true });
  symlinkSync(`../${binary}`, link);
}
