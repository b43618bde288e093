import { isPlainObject } from '../../core/json.ts';

type Members = Readonly<Record<string, unknown>>;

const INDENT = '  ';

/** A profile for a person: what it is for, its sources, what they leave open, and then each section. */
export function formatProfile(
  { name, about, documents, unverified, ...sections }: Members,
  { builtIn, isDefault }: { builtIn: boolean; isDefault: boolean },
): string[] {
  const kind = isDefault ? ' · built in, the default' : builtIn ? ' · built in' : '';
  const { profile: _, extends: base, ...others } = sections;
  return [
    `profile ${String(name)}${kind}`,
    ...(typeof about === 'string' ? [`${INDENT}${about}`] : []),
    ...(typeof base === 'string' ? [`${INDENT}extends ${base}`] : []),
    ...block('documents', documents),
    ...block('unverified: what the documents do not say', unverified),
    ...Object.entries(others).flatMap(([title, value]) => formatSection(title, value)),
  ];
}

/** A list of texts, a line each. */
function block(title: string, list: unknown): string[] {
  if (!Array.isArray(list) || list.length === 0) return [];
  return ['', title, ...list.map((one) => `${INDENT}${String(one)}`)];
}

function formatSection(title: string, value: unknown): string[] {
  if (!isPlainObject(value)) {
    const lines = formatValue(value);
    return lines.length === 1 ? ['', `${title}: ${lines.join('')}`] : ['', title, ...lines.map(indented)];
  }
  const fields = Object.entries(flattened(value));
  const width = Math.max(...fields.map(([name]) => name.length));
  return [
    '',
    title,
    ...fields.flatMap(([name, one]) =>
      formatValue(one).map((line, n) => `${INDENT}${(n === 0 ? name : '').padEnd(width)}  ${line}`),
    ),
  ];
}

const indented = (line: string): string => `${INDENT}${line}`;

/** `{words: {queued: …}}` → `{'words.queued': …}`. */
function flattened(value: Members, before = ''): Members {
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, one]): [string, unknown][] => {
      const path = `${before}${name}`;
      return isPlainObject(one) && Object.keys(one).length > 0
        ? Object.entries(flattened(one, `${path}.`))
        : [[path, one]];
    }),
  );
}

/** A list of objects has a line for each. */
function formatValue(value: unknown): string[] {
  if (Array.isArray(value) && value.some((one) => isPlainObject(one))) return value.map(formatOne);
  return [formatOne(value)];
}

function formatOne(value: unknown): string {
  if (Array.isArray(value)) return value.map(formatOne).join(', ');
  if (!isPlainObject(value)) return value === '' ? '""' : String(value);
  return Object.entries(value)
    .map(([name, one]) => `${name} ${isPlainObject(one) ? `{ ${formatOne(one)} }` : formatOne(one)}`)
    .join(' · ');
}
