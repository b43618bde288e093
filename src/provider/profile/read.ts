import { createRequire } from 'node:module';
import type * as Yaml from 'yaml';
import type { z } from 'zod';
import { usageError } from '../../core/errors.ts';
import { isPlainObject } from '../../core/json.ts';
import { typedExcerpt } from '../../core/text.ts';
import { builtInNames, builtInText } from './built-in.ts';
import { extended } from './extend.ts';
import { clearMessage } from './parts.ts';
import { profileSchema, type Profile } from './schema.ts';

/** Loaded by the first profile: a short command spends most of its time on loading. */
const yaml = (): typeof Yaml => createRequire(import.meta.url)('yaml') as typeof Yaml;

/** A profile file is a few kilobytes. */
const LARGEST_PROFILE = 262_144;

/** What is wrong in a profile. */
export interface ProfileFault {
  /** From 1; undefined if the fault has no place. */
  line: number | undefined;
  /** The field, dotted; empty for the whole file. */
  field: string;
  message: string;
}

/** `written`: the profile as it is written, with what it takes from the one that it extends. */
export type ReadProfile =
  { profile: Profile; written: Readonly<Record<string, unknown>> } | { faults: ProfileFault[] };

/** Reads the text of a profile: YAML 1.2, plain data. Never throws. */
export function readProfile(text: string): ReadProfile {
  if (Buffer.byteLength(text) > LARGEST_PROFILE)
    return fault(undefined, '', `is larger than ${LARGEST_PROFILE} bytes`);
  const { LineCounter, parseDocument } = yaml();
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const [error] = document.errors;
  if (error !== undefined)
    return fault(lines.linePos(error.pos[0]).line, '', `is not YAML: ${error.message}`);
  let written: unknown;
  try {
    written = document.toJS({ maxAliasCount: 20 });
  } catch {
    return fault(undefined, '', 'repeats its parts by too many aliases');
  }
  const whole = withBase(written);
  if (typeof whole === 'string') {
    return fault(lineOf(document, lines, ['extends']), 'extends', whole);
  }
  const checked = profileSchema.safeParse(whole.written, { error: clearMessage });
  if (checked.success) return { profile: checked.data, written: asMembers(whole.written) };
  const faults = checked.error.issues.flatMap(detailed).map((issue): ProfileFault => {
    const at = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] ?? ''] : issue.path;
    return { line: lineOf(document, lines, at), field: formatField(issue.path), message: issue.message };
  });
  return { faults: faults.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0)) };
}

/**
 * A value that may have several forms has the faults of the form that it comes closest to: the only one whose faults are all
 * inside it.
 */
function detailed(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const [closest, ...others] = issue.errors.filter((form) => form.every(({ path }) => path.length > 0));
  if (closest === undefined || others.length > 0) return [issue];
  return closest.flatMap((inner) => detailed({ ...inner, path: [...issue.path, ...inner.path] }));
}

/** The profile with what it takes from the built-in one that it extends; a text: why it cannot. */
function withBase(written: unknown): { written: unknown } | string {
  if (!isPlainObject(written) || written['extends'] === undefined) return { written };
  const { extends: name } = written;
  const base = typeof name === 'string' ? builtInWhole(name) : undefined;
  if (base === undefined)
    return `${typedExcerpt(name)} is not a built-in profile: ${builtInNames().join(', ')}`;
  return { written: extended(base, written) };
}

const wholes = new Map<string, Readonly<Record<string, unknown>>>();

/** A built-in profile with what it takes from another one; undefined if the name is unknown. */
function builtInWhole(name: string): Readonly<Record<string, unknown>> | undefined {
  const known = wholes.get(name);
  if (known !== undefined) return known;
  const text = builtInText(name);
  if (text === undefined) return undefined;
  const whole = withBase(yaml().parse(text));
  const members = asMembers(typeof whole === 'string' ? undefined : whole.written);
  wholes.set(name, members);
  return members;
}

const asMembers = (value: unknown): Record<string, unknown> => (isPlainObject(value) ? value : {});

function fault(line: number | undefined, field: string, message: string): ReadProfile {
  return { faults: [{ line, field, message }] };
}

type FieldPath = readonly PropertyKey[];

function formatField(path: FieldPath): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}

/** A field as the file has it: `+codes` may stand for `codes`. As much of it as is written. */
function writtenPath(document: Yaml.Document, path: FieldPath): FieldPath {
  const found: PropertyKey[] = [];
  for (const part of path) {
    const names = [part, `+${String(part)}`];
    const name = names.find((one) => document.hasIn([...found, one]));
    if (name === undefined) return found;
    found.push(name);
  }
  return found;
}

/** The line of a field, or of the nearest field around it that is written. */
function lineOf(document: Yaml.Document, lines: Yaml.LineCounter, path: FieldPath): number | undefined {
  const written = writtenPath(document, path);
  for (let length = written.length; length >= 0; length -= 1) {
    const node: unknown = document.getIn(written.slice(0, length), true);
    const start = yaml().isNode(node) ? node.range?.[0] : undefined;
    if (start !== undefined) return lines.linePos(start).line;
  }
  return undefined;
}

/** @throws VidbatchError exit 2 that names every fault, a line each. */
export function requireProfile(text: string, where: string): Profile {
  const read = readProfile(text);
  if ('profile' in read) return read.profile;
  const told = read.faults.map((one) => `${where}${formatFault(one)}`);
  throw usageError('PROFILE_INVALID', told.join('\n'), 'docs/profiles.md explains each field.');
}

/** `:12: outcomes.statuses[0].status: 600 is not …` */
export function formatFault({ line, field, message }: ProfileFault): string {
  return `${line === undefined ? '' : `:${line}`}: ${field === '' ? '' : `${field} `}${message}`;
}
