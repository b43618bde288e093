import { VidbatchError } from '../errors.ts';
import { count } from '../summary.ts';

/** Of a provider that was asked for tasks and said nothing of any: it is most likely not the one that has them. */
export function providerSilent(asked: number, more = ''): VidbatchError {
  const what = asked === 1 ? 'did not answer the one question' : `answered none of ${count(asked)} questions`;
  return new VidbatchError('PROVIDER_SILENT', `the provider ${what}`, {
    hint: `Check VIDBATCH_BASE_URL and VIDBATCH_API_KEY.${more}`,
  });
}
