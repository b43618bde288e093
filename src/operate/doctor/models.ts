import { Pool } from 'undici';
import { parseValue } from '../../provider/answer-body.ts';
import { exchange } from '../../provider/exchange.ts';
import { formatFailure } from '../../provider/failure.ts';
import { valuesAt } from '../../provider/profile/path.ts';
import type { Profile } from '../../provider/profile/schema.ts';
import { Requests } from '../../provider/request.ts';
import { nearest } from '../../core/suggestion.ts';
import { plural } from '../../core/units.ts';
import { checkSubject, ok, skipped, warning } from './check.ts';
import type { Check } from './check.ts';

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
    const { origin, host } = new URL(baseUrl);
    const headers = { accept: 'application/json', 'accept-encoding': 'identity' };
    const requests = new Requests(profile, { baseUrl, apiKey, headers });
    const pool = new Pool(origin, { allowH2: false, connections: 1, connect: { timeout: limitMs } });
    try {
      const path = requests.below(modelList.path);
      const found = await exchange(pool, { method: 'GET', path, headers: { ...requests.query } }, limitMs);
      if (found.kind === 'failure') return [skipped(NAME, `were not told: ${formatFailure(found, host)}`)];
      const { status, body } = found.answer;
      const answer = parseValue(body);
      const names = modelList.names.flatMap((place) => valuesAt(answer, place)).map(String);
      return [judgeModelList(status >= 200 && status <= 299 ? names : [], wanted, `HTTP ${status}`)];
    } finally {
      await pool.destroy();
    }
  });
}

const MOST_NAMED = 5;

/** `names`: what the list says. `wanted`: the models of rows that wait, and those of the configuration. */
export function judgeModelList(names: readonly string[], wanted: readonly string[], said: string): Check {
  if (names.length === 0)
    return skipped(NAME, `the list of models cannot be read: ${said}, and no name where the profile says`);
  const listed = new Set(names);
  const missing = [...new Set(wanted)].filter((name) => !listed.has(name));
  const all = plural(names.length, 'model');
  if (missing.length === 0) {
    const which = wanted.length === 0 ? '' : `, and all of ${[...new Set(wanted)].join(', ')}`;
    return ok(NAME, `the key may use ${all}${which}`);
  }
  const shown = missing.slice(0, MOST_NAMED).map((name) => {
    const meant = nearest(name, names, 3);
    return meant === undefined ? name : `${name} (did you mean ${meant}?)`;
  });
  const rest = missing.length - shown.length;
  return warning(
    NAME,
    `the key may use ${all}, without ${shown.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`,
    'Rows of these models are probably refused: ask the provider, or correct the manifest and submit it again.',
  );
}
