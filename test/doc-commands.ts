import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** A command line of vidbatch that a page shows. */
export interface DocCommand {
  page: string;
  /** Without `npx vidbatch`, redirections and comments. */
  args: string[];
  /** It is a line to paste. A sentence that names a command may leave arguments and the word vidbatch out. */
  whole: boolean;
}

const PAGES = ['README.md', 'README.zh-CN.md', ...globSync('docs/*.md', { cwd: ROOT }).sort()];

/** The command lines of all pages, in order. `docs/commands.md` has the examples of the help. */
export function docCommands(pages: readonly string[] = PAGES): DocCommand[] {
  return pages.flatMap((page) => {
    const text = readFileSync(`${ROOT}/${page}`, 'utf8');
    const fences = [...text.matchAll(/^( *)```(\w*)\n([^]*?)^\1```$/gm)];
    const prose = fences.reduce((rest, [fence]) => rest.replace(fence, ''), text);
    return [
      ...fences.flatMap(([, , language, body = '']) => linesToPaste(body, language === 'sh')),
      ...[...prose.matchAll(/`((?:npx )?vidbatch [^`]+)`/g)].map(([, line = '']) => ({ line, whole: false })),
      ...[...prose.matchAll(/`((?!npx|npm|node|docker|vidbatch)[a-z]+ [^`]*--[^`]+)`/g)].map(
        ([, line = '']) => ({ line: `vidbatch ${line}`, whole: false }),
      ),
    ].flatMap(({ line, whole }) => commandsOf(line).map((args) => ({ page, args, whole })));
  });
}

/** In a block of `sh`, each line; in another block, the lines behind a prompt. */
function linesToPaste(body: string, isShell: boolean): { line: string; whole: true }[] {
  return body
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => isShell || /^ *\$ /.test(line))
    .map((line) => ({ line: line.replace(/^ *(\$ )?/, ''), whole: true }));
}

/** What stands for a value: `<batch>` is one word, and no redirection. */
const WORD = /<[^\s<>]+>|"([^"]*)"|'([^']*)'|[^\s"'<>|&;]+|&&|\|\||[|<>]| {2,}/g;

/** The commands of vidbatch in one line of a shell. In the examples of a help, two spaces begin a comment. */
function commandsOf(line: string): string[][] {
  const all: string[][] = [[]];
  let skips = false;
  let commented = false;
  for (const [word, double, single] of line.matchAll(WORD)) {
    if (commented && !/^(?:&&|\|\|?)$/.test(word)) continue;
    if (/^(?:&&|\|\|?)$/.test(word)) {
      all.push([]);
      commented = false;
    } else if (word.startsWith('#') || word.startsWith('  ')) commented = true;
    else if (/^[<>]$/.test(word)) skips = true;
    else if (skips) skips = false;
    else all.at(-1)?.push(double ?? single ?? word);
  }
  return all.flatMap((words) => {
    const start = words.findIndex((word) => !/^[A-Z_]+=/.test(word));
    const rest = ofCompose(start < 0 ? [] : words.slice(start));
    const [first, ...args] = rest[0] === 'npx' ? rest.slice(1) : rest;
    return first === 'vidbatch' ? [args] : [];
  });
}

/** `docker compose run … worker ARGS` runs vidbatch in the service `worker`. */
function ofCompose(words: readonly string[]): string[] {
  const isRun = words.slice(0, 3).join(' ') === 'docker compose run';
  return isRun ? ['vidbatch', ...words.slice(words.indexOf('worker') + 1)] : [...words];
}
