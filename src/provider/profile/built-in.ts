import { readdirSync, readFileSync } from 'node:fs';

const FOLDER = new URL('../profiles/', import.meta.url);

/** The names of the profiles that are part of vidbatch. */
export function builtInNames(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -'.yaml'.length))
    .toSorted();
}

/** The text of a built-in profile; undefined if the name is unknown. */
export function builtInText(name: string): string | undefined {
  return builtInNames().includes(name) ? readFileSync(new URL(`${name}.yaml`, FOLDER), 'utf8') : undefined;
}
