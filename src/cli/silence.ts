import { VidbatchError } from '../core/errors.ts';
import { count } from '../core/format.ts';

/** Of a provider that was asked for tasks and said nothing: it is most likely not the one that has them. */
export function providerSilent(
  { asked, unanswered, silent }: { asked: number; unanswered: number; silent?: string | null },
  more = '',
): VidbatchError {
  const none = asked === 1 ? 'did not answer the one question' : `answered none of ${count(asked)} questions`;
  const what = unanswered === asked ? none : `answers no longer: ${silent ?? 'nobody knows why'}`;
  return new VidbatchError('PROVIDER_SILENT', `the provider ${what}`, {
    hint: `Check VIDBATCH_BASE_URL and VIDBATCH_API_KEY.${more}`,
  });
}
