import { parseValue } from '../../provider/answer-body.ts';
import { formatFailure } from '../../provider/failure.ts';
import { valuesAt } from '../../provider/profile/path.ts';
import type { Profile } from '../../provider/profile/schema.ts';
import { nearest } from '../../core/suggestion.ts';
import { formatFirst } from '../../core/text.ts';
import { plural } from '../../core/units.ts';
import { checkSubject, ok, skipped, warning, type Check } from './check.ts';
import { getOnce } from './provider.ts';

const NAME = 'provider-models';

/** Asks the provider which models the key may use, if its profile knows where. Costs nothing. */
export async function checkModelList(
  { baseUrl, apiKey }: { baseUrl: string | undefined; apiKey: string | undefined },
  profile: Profile,
  wanted: readonly string[],
  limitMs: number,
): Promise<Check[]> {
  if (baseUrl === undefined || profile.modelList === undefined) return [];
  const { modelList } = profile;
  return checkSubject(NAME, 2 * limitMs, async () => {
    const found = await getOnce({ baseUrl, apiKey }, profile, limitMs, (requests) =>
      requests.below(modelList.path),
    );
    if (found.kind === 'failure')
      return [skipped(NAME, `were not told: ${formatFailure(found, new URL(baseUrl).host)}`)];
    const { status, body } = found.answer;
    const answer = parseValue(body);
    const names = modelList.names.flatMap((place) => valuesAt(answer, place)).map(String);
    return [judgeModelList(status >= 200 && status <= 299 ? names : [], wanted, `HTTP ${status}`)];
  });
}

const MOST_NAMED = 5;

/** `names`: what the list says. `wanted`: the models of rows that wait, and those of the configuration. */
function judgeModelList(names: readonly string[], wanted: readonly string[], said: string): Check {
  if (names.length === 0)
    return skipped(NAME, `the list of models cannot be read: ${said}, and no name where the profile says`);
  const listed = new Set(names);
  const missing = [...new Set(wanted)].filter((name) => !listed.has(name));
  const all = plural(names.length, 'model');
  if (missing.length === 0) {
    const which = wanted.length === 0 ? '' : `, and all of ${[...new Set(wanted)].join(', ')}`;
    return ok(NAME, `the key may use ${all}${which}`);
  }
  const shown = missing.map((name) => {
    const meant = nearest(name, names, 3);
    return meant === undefined ? name : `${name} (did you mean ${meant}?)`;
  });
  return warning(
    NAME,
    `the key may use ${all}, without ${formatFirst(shown, MOST_NAMED)}`,
    'Rows of these models are probably refused: ask the provider, or correct the manifest and submit it again.',
  );
}
