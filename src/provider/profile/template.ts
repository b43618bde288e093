import { isPlainObject, type JsonValue } from '../../core/json.ts';

/**
 * The body of a create request as a profile writes it: JSON in which `${field}` stands for a field of the request.
 *
 * - A text that is one placeholder becomes the field's value; a text that contains some becomes a text.
 * - `${field:text}` is the value as a text: some formats write seconds so.
 * - A member whose placeholder has no value is left out, and so is an object that has no members left.
 * - An item of a list in which any placeholder has no value is left out, and so is a list that has no items left.
 * - An item with `${field[]}` is repeated for each value of that list.
 * - The member `...: ${field}` adds the members of that object.
 */
export type Template = JsonValue;

const PLACEHOLDER = /\$\{([^{}]*)\}/g;
const WHOLE = /^\$\{([^{}]*)\}$/;
const SPREAD = '...';
const AS_TEXT = ':text';

type Fields = Readonly<Record<string, unknown>>;

/** The names in the placeholders of a template, with their `[]`. */
export function placeholdersOf(template: Template): string[] {
  if (typeof template === 'string') return [...template.matchAll(PLACEHOLDER)].map(([, name = '']) => name);
  if (Array.isArray(template)) return template.flatMap(placeholdersOf);
  return isPlainObject(template) ? Object.values(template).flatMap((value) => placeholdersOf(value)) : [];
}

/** The body for these fields. Undefined if nothing is left of it. */
export function fillTemplate(template: Template, fields: Fields): JsonValue | undefined {
  if (typeof template === 'string') return fillText(template, fields);
  if (Array.isArray(template)) {
    const items = template.flatMap((item) => fillItem(item, fields));
    return items.length === 0 ? undefined : items;
  }
  if (!isPlainObject(template)) return template;
  const members = Object.entries(template).flatMap(([key, value]) => fillMember(key, value, fields));
  return members.length === 0 ? undefined : Object.fromEntries(members);
}

function fillMember(key: string, value: Template, fields: Fields): [string, JsonValue][] {
  const filled = fillTemplate(value, fields);
  if (filled === undefined) return [];
  if (key !== SPREAD) return [[key, filled]];
  return isPlainObject(filled) ? Object.entries(filled) : [];
}

function fillItem(item: Template, fields: Fields): JsonValue[] {
  const names = placeholdersOf(item);
  const list = names.find((name) => name.endsWith('[]') && fields[name] === undefined);
  if (list !== undefined) {
    const values = fields[list.slice(0, -2)];
    if (!Array.isArray(values)) return [];
    return values.flatMap((value) => fillItem(item, { ...fields, [list]: value as unknown }));
  }
  if (names.some((name) => valueOf(name, fields) === undefined)) return [];
  const filled = fillTemplate(item, fields);
  return filled === undefined ? [] : [filled];
}

function fillText(text: string, fields: Fields): JsonValue | undefined {
  const whole = WHOLE.exec(text)?.[1];
  if (whole !== undefined) return valueOf(whole, fields);
  let missing = false;
  const filled = text.replaceAll(PLACEHOLDER, (_, name: string) => {
    const value = valueOf(name, fields);
    missing ||= value === undefined;
    return asText(value);
  });
  return missing ? undefined : filled;
}

/** The value of `field` or `field:text`. */
function valueOf(name: string, fields: Fields): JsonValue | undefined {
  const field = name.endsWith(AS_TEXT) ? name.slice(0, -AS_TEXT.length) : name;
  const value = fields[field] as JsonValue | undefined;
  return value === undefined || field === name ? value : asText(value);
}

function asText(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
