import { excerpt } from '../../core/text.ts';
import { nearest } from '../../core/suggestion.ts';
import type { Report } from './fields.ts';
import type { Draft, ModelRules, RequestRules } from './request-rules.ts';
import { flaw } from './text-flaws.ts';
import { urlWarnings } from './url-flaws.ts';

/**
 * Reports every broken rule between fields, and every doubtful URL. `more`: models that the configuration adds to those of
 * the profile; their abilities are not documented.
 */
export function applyRules(draft: Draft, rules: RequestRules, more: readonly string[], report: Report): void {
  const { model, prompt = '', reference_image_urls: references = [] } = draft.request;
  const its = rules.of(model);
  const documented = its.entry === undefined ? 'warning' : 'error';
  const isKnown = its.entry !== undefined || (model !== undefined && more.includes(model));
  const unknown = model === '' ? 'error' : rules.unknownModel;
  if (model !== undefined && !isKnown && unknown !== 'allowed')
    report(unknown, 'model', flaw('model-unknown', unknownModel(model, rules, more)));
  const { longestPrompt, doubtfulReferences } = rules;
  // Code points, as people count; never more than the UTF-16 units, which are cheap to count.
  const length = prompt.length > longestPrompt ? Array.from(prompt).length : 0;
  if (length > longestPrompt) {
    const message = `${length} characters (Unicode code points) are more than ${longestPrompt}, and may be refused`;
    report('warning', 'prompt', flaw('prompt-length', message));
  }
  if (model !== undefined && (isKnown || rules.unknownModel !== 'error'))
    checkReferences(model, draft, rules, its, report);
  if (references.length > doubtfulReferences) {
    const message = `${references.length} reference images are more than ${doubtfulReferences}, and may be refused`;
    report('warning', 'reference_image_urls', flaw('reference-many', message));
  }
  for (const { name, column, severity, message, isBroken } of its.between) {
    if (isBroken(draft))
      report(severity === 'documented' ? documented : severity, column, flaw(name, message));
  }
  for (const column of ['image', 'last_image', 'reference_image_urls'] as const) {
    for (const url of [draft.request[column] ?? []].flat()) {
      for (const warning of urlWarnings(url)) report('warning', column, warning);
    }
  }
}

/** Whether the model takes the row's reference images: an error by its entry, a warning by a hint. */
function checkReferences(
  model: string,
  { request, given }: Draft,
  { models }: RequestRules,
  { entry }: ModelRules,
  report: Report,
): void {
  const { references: allowed } = entry ?? models.hintOf(model) ?? {};
  if (allowed === undefined) return;
  const severity = entry === undefined ? 'warning' : 'error';
  const tell = (rule: string, message: string): void =>
    report(severity, 'reference_image_urls', flaw(rule, message));
  const needs = `${allowed.from === allowed.to ? '' : `${allowed.from} to `}${allowed.to} reference images`;
  const count = request.reference_image_urls?.length;
  if (given.has('reference_image_urls') && allowed.to === 0) {
    const others = models.names.filter((name) => (models.entryOf(name)?.references?.to ?? 0) > 0);
    const such = nearest(model, others);
    const only = such === undefined ? '' : `; a model that does is ${such}`;
    tell('reference-without-mix', `the model ${excerpt(model)} takes no reference images${only}`);
  } else if (!given.has('reference_image_urls') && allowed.from > 0) {
    tell('mix-without-reference', `the model ${excerpt(model)} needs ${needs}`);
  } else if (count !== undefined && count < allowed.from) {
    tell('reference-count', `${count} URLs are too few: the model ${excerpt(model)} needs ${needs}`);
  }
}

/** The most names and patterns that a message lists. */
const MOST_SHOWN = 8;

function unknownModel(model: string, { models }: RequestRules, more: readonly string[]): string {
  const [example] = models.names;
  const such = example === undefined ? '' : `, such as ${example}`;
  if (model === '') return `is blank; a model is required${such}`;
  const word = model
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/[\s_]+/g, '-');
  const suggestion = nearest(word, [...models.names, ...more]);
  const hint = suggestion === undefined ? '.' : `; did you mean ${suggestion}?`;
  const rest = models.written.length - MOST_SHOWN;
  const known = `${models.written.slice(0, MOST_SHOWN).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
  return `${excerpt(model)} is not a known model${hint} Known: ${known}`;
}
