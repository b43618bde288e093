/** The page `docs/profiles.md`: each of its examples is right, each field has one, and each mistake in one is told. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse, parseDocument, type Document } from 'yaml';
import { z } from 'zod';
import { builtInNames } from '../../../src/provider/profile/built-in.ts';
import { loadProfile } from '../../../src/provider/profile/load.ts';
import { formatFault, readProfile, type ProfileFault } from '../../../src/provider/profile/read.ts';
import { profileSchema } from '../../../src/provider/profile/schema.ts';

const page = readFileSync(new URL('../../../docs/profiles.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text = '']) =>
  text.startsWith('profile: 1\n') ? text : `profile: 1\nname: example\nextends: vidu-gateway\n${text}`,
);

/** The words of zod, which say nothing to a person. */
const UNCLEAR = /Invalid|[Ee]xpected|Too (small|big)|received|Unrecognized|undefined/;

function faultsIn(text: string): ProfileFault[] {
  const read = readProfile(text);
  return 'faults' in read ? read.faults : [];
}

describe('the page about profiles', () => {
  it('has only examples that are right', () => {
    assert.ok(examples.length > 10);
    for (const example of examples) assert.deepEqual(faultsIn(example).map(formatFault), [], `\n${example}`);
  });

  it('has an example of every field', () => {
    const shown = new Set(examples.flatMap((example) => keysIn(parse(example))));
    const missing = [...new Set(keysOf(z.toJSONSchema(profileSchema, SHAPE) as Shape))].filter(
      (key) => !shown.has(key),
    );
    assert.deepEqual(missing, []);
  });

  it('names the documents of each built-in profile', () => {
    for (const name of builtInNames()) {
      const { documents } = loadProfile(name).profile;
      const [, section = ''] = page.split(`\n### ${name}\n`);
      for (const document of documents.filter((one) => one.startsWith('http')))
        assert.ok(section.split('\n### ')[0]?.includes(`<${document}>`), `${name}: ${document}`);
    }
  });
});

describe('a mistake in a profile', () => {
  const WRONG: readonly unknown[] = ['', '${nothing}', -1, true, ['', {}], { nothing: 1 }];

  it('is named in clear words, with its line and its field, in each field', () => {
    for (const example of examples) {
      for (const path of pathsIn(parse(example)).filter((one) => one.at(-1) !== 1)) {
        const told = WRONG.flatMap((wrong) => {
          const document = parseDocument(example);
          document.setIn(path, wrong);
          const text = String(document);
          const faults = faultsIn(text);
          for (const fault of faults) checkFault(fault, text, path, wrong);
          return faults;
        });
        assert.ok(told.length > 0, `no value is wrong at ${path.join('.')}`);
      }
    }
  });

  it('in the name of a field is told, with the names that are allowed', () => {
    for (const example of examples) {
      for (const path of pathsIn(parse(example)).filter((one) => typeof one.at(-1) === 'string')) {
        const parent = parsedAt(parseDocument(example), path.slice(0, -1));
        if (parent === undefined || FREE.test(path.join('.'))) continue;
        const document = parseDocument(example);
        document.setIn([...path.slice(0, -1), 'nosuch'], 1);
        const told = faultsIn(String(document)).map(formatFault).join('\n');
        assert.match(
          told,
          /unknown "nosuch": (allowed are|a price has) |is not bearer|is not none|is not a (wait|place|path)/,
          path.join('.'),
        );
      }
    }
  });
});

/** Objects whose keys are not fields. */
const FREE = /create\.(headers|body)\.|fields\.extra_body\.|rules\.\d+\.when\./;

function checkFault(
  { line, field, message }: ProfileFault,
  text: string,
  path: readonly unknown[],
  wrong: unknown,
): void {
  const what = `${path.join('.')} = ${JSON.stringify(wrong)}: ${field} ${message}`;
  assert.doesNotMatch(message, UNCLEAR, what);
  assert.ok(message.length < 300, what);
  assert.ok(line !== undefined && line <= text.split('\n').length, what);
  const root = String(path[0]).replace(/^\+/, '');
  assert.ok(field === '' || field.startsWith(root) || root === 'extends', what);
}

const SHAPE = { io: 'input', unrepresentable: 'any' } as const;

interface Shape {
  properties?: Record<string, Shape>;
  items?: Shape;
  anyOf?: Shape[];
  allOf?: Shape[];
}

/** The names of fields in a schema, with their section: `task.words`, `words.queued`. */
function keysOf(shape: Shape, section = ''): string[] {
  const inner = Object.entries(shape.properties ?? {});
  return [
    ...inner.flatMap(([name, one]) => [`${section}.${name}`, ...keysOf(one, name)]),
    ...[shape.items ?? [], shape.anyOf ?? [], shape.allOf ?? []]
      .flat()
      .flatMap((one) => keysOf(one, section)),
  ];
}

function keysIn(value: unknown, section = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((one) => keysIn(one, section));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([written, one]) => {
    const name = written.replace(/^\+/, '');
    return [`${section}.${name}`, ...keysIn(one, name)];
  });
}

type Path = (string | number)[];

/** Every field, and every item of a list. */
function pathsIn(value: unknown, before: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [];
  const members: [string | number, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value);
  return members.flatMap(([name, one]) => [[...before, name], ...pathsIn(one, [...before, name])]);
}

function parsedAt(document: Document, path: Path): unknown {
  return path.length === 0 ? document.contents : document.getIn(path);
}
